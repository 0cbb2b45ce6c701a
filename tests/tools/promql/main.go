// SPDX-License-Identifier: Apache-2.0

// Command promql reads a JSON list of expressions from standard input and says which of them cannot be parsed. The parser
// is that of VictoriaMetrics, which takes all of PromQL and a little more.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/VictoriaMetrics/metricsql"
)

func main() {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		fmt.Fprintln(os.Stderr, "promql:", err)
		os.Exit(2)
	}
	failed := false
	for _, expression := range expressions {
		if _, err := metricsql.Parse(expression); err != nil {
			failed = true
			fmt.Printf("%s: %v\n", expression, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}
