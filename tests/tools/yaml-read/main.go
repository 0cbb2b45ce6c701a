// SPDX-License-Identifier: Apache-2.0

// Command yaml-read prints what kubectl reads in files, as its StreamVisitor does (k8s.io/cli-runtime, pkg/resource).
//
// Standard input is a JSON array of texts. Standard output is a JSON array as long: for each text `{"documents": [...]}`, or
// `{"error": "..."}` where a document cannot be read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type answer struct {
	Documents []json.RawMessage `json:"documents"`
	Error     string            `json:"error,omitempty"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		fmt.Fprintln(os.Stderr, "yaml-read:", err)
		os.Exit(2)
	}
	answers := make([]answer, len(texts))
	for i, text := range texts {
		answers[i] = read(text)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, "yaml-read:", err)
		os.Exit(1)
	}
}

func read(text string) (result answer) {
	// goyaml panics at some texts, as kubectl then does.
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	result.Documents = []json.RawMessage{}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var document runtime.RawExtension
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return result
		} else if err != nil {
			return answer{Error: err.Error()}
		}
		raw := []byte(strings.TrimSpace(string(document.Raw)))
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		result.Documents = append(result.Documents, raw)
	}
}
