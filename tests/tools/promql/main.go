// SPDX-License-Identifier: Apache-2.0

// Command promql does with metrics and alerts what Prometheus does, by Prometheus' own code. It reads JSON from standard
// input.
//
//	promql parse    a list of expressions; says which of them cannot be parsed
//	promql samples  the answer of a metrics port; writes its samples
//	promql play     a recording of metrics ports, and alerts; writes what becomes of the alerts, see play.go
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "promql:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("say one of parse, samples, play")
	}
	input := json.NewDecoder(os.Stdin)
	input.DisallowUnknownFields()
	switch os.Args[1] {
	case "parse":
		var expressions []string
		if err := input.Decode(&expressions); err != nil {
			return err
		}
		return parse(expressions)
	case "samples":
		var answer Answer
		if err := input.Decode(&answer); err != nil {
			return err
		}
		samples, err := answer.samples()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(samples)
	case "play":
		var recording Recording
		if err := input.Decode(&recording); err != nil {
			return err
		}
		alerts, err := recording.play()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(alerts)
	default:
		return fmt.Errorf("%q is none of parse, samples, play", os.Args[1])
	}
}

func parse(expressions []string) error {
	var wrong []error
	for _, expression := range expressions {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(expression); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", expression, err))
		}
	}
	return errors.Join(wrong...)
}
