// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// Answer is what a metrics port answered.
type Answer struct {
	// ContentType is the header of that name.
	ContentType string `json:"contentType"`
	// Text is the body.
	Text string `json:"text"`
}

// Sample is one value of a series.
type Sample struct {
	Labels map[string]string `json:"labels"`
	// Value is a text, because JSON has no infinity.
	Value string `json:"value"`
	// Type is what the answer says of the metric.
	Type string `json:"type"`

	series labels.Labels
	value  float64
}

// samples reads an answer as a scrape does: by its Content-Type, and as a failure where that is of no known format.
func (a Answer) samples() ([]Sample, error) {
	parser, err := textparse.New([]byte(a.Text), a.ContentType, nil, textparse.ParserOptions{})
	if err != nil || parser == nil {
		return nil, fmt.Errorf("content type %q: %w", a.ContentType, err)
	}
	var samples []Sample
	kind := ""
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return samples, nil
		}
		if err != nil {
			return nil, err
		}
		switch entry {
		case textparse.EntryType:
			_, metricType := parser.Type()
			kind = string(metricType)
		case textparse.EntrySeries:
			_, _, value := parser.Series()
			var series labels.Labels
			parser.Labels(&series)
			samples = append(samples, Sample{
				Labels: series.Map(), Value: strconv.FormatFloat(value, 'g', -1, 64), Type: kind,
				series: series, value: value,
			})
			if math.IsNaN(value) {
				return nil, fmt.Errorf("%s is not a number", series)
			}
		}
	}
}
