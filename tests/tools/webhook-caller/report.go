// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// report is what happened so far.
type report struct {
	dialled   atomic.Int64
	mutex     sync.Mutex
	failed    int
	failures  []string
	latencies []float64
}

// The texts of so many failures are kept.
const kept = 20

// done notes a call.
func (r *report) done(took time.Duration, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.latencies = append(r.latencies, float64(took.Microseconds())/1000)
	if err == nil {
		return
	}
	r.failed++
	if len(r.failures) < kept {
		r.failures = append(r.failures, time.Now().UTC().Format("15:04:05.000 ")+err.Error())
	}
}

// answer reads until the end of the input; each line is a wish to know.
func (r *report) answer(input io.Reader) {
	for lines := bufio.NewScanner(input); lines.Scan(); {
		r.print()
	}
}

func (r *report) print() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	sorted := slices.Sorted(slices.Values(r.latencies))
	at := func(share float64) float64 {
		if len(sorted) == 0 {
			return 0
		}
		return sorted[int(share*float64(len(sorted)-1))]
	}
	text, err := json.Marshal(map[string]any{
		"calls": len(sorted), "failed": r.failed, "failures": r.failures, "dialled": r.dialled.Load(),
		"p50Milliseconds": at(0.5), "p99Milliseconds": at(0.99), "maxMilliseconds": at(1),
	})
	if err != nil {
		panic(err)
	}
	say("%s", text)
}

var output sync.Mutex

// say prints a line as one.
func say(format string, arguments ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", arguments...)
}
