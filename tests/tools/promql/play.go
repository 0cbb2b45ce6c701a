// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// interval is the pause between two scrapes, and between two evaluations: what Gardener's Prometheis have is a minute.
const interval = time.Minute

// Recording is what metrics ports answered in the course of time, and the alerts that look at it.
type Recording struct {
	Rules []Rule `json:"rules"`
	// Start is the moment of the first scrape, in seconds since 1970.
	Start float64 `json:"start"`
	// Takes are in the order of time; each is what every scrape sees until the next one.
	Takes []Take `json:"takes"`
	// Seconds is how long all of it lasts.
	Seconds float64 `json:"seconds"`
}

// Rule is one of a PrometheusRule.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Take is what all ports answered at one time.
type Take struct {
	// At is seconds from the start.
	At      float64  `json:"at"`
	Targets []Target `json:"targets"`
}

// Target is one port.
type Target struct {
	// Labels are what Prometheus adds to each series of it.
	Labels map[string]string `json:"labels"`
	// Keep chooses the names that are kept, as a ServiceMonitor has it.
	Keep string `json:"keep"`
	// Answer is nil where nobody answered.
	Answer *Answer `json:"answer"`
}

// Alert is one that was pending or firing.
type Alert struct {
	Alert       string            `json:"alert"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	// Active is when its expression held first, Fired when it fired first, both in seconds from the start.
	Active float64  `json:"active"`
	Fired  *float64 `json:"fired"`
}

func (r Recording) play() ([]Alert, error) {
	folder, err := os.MkdirTemp("", "promql")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := tsdb.Open(folder, quiet, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()

	engine := promql.NewEngine(promql.EngineOpts{
		Logger: quiet, MaxSamples: 50_000_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}),
	})
	alerting, err := r.alertingRules(quiet)
	if err != nil {
		return nil, err
	}
	takes, err := r.read()
	if err != nil {
		return nil, err
	}

	start := time.UnixMilli(int64(r.Start * 1000))
	seen := map[uint64]labels.Labels{}
	found := map[string]*Alert{}
	next := 0
	for now := start; now.Sub(start).Seconds() <= r.Seconds; now = now.Add(interval) {
		since := now.Sub(start).Seconds()
		for next+1 < len(takes) && takes[next+1].at <= since {
			next++
		}
		if seen, err = scrape(db, takes[next].samples, seen, now); err != nil {
			return nil, err
		}
		for _, rule := range alerting {
			query := rules.EngineQueryFunc(engine, db)
			if _, err := rule.Eval(context.Background(), 0, now, query, nil, 0); err != nil {
				return nil, fmt.Errorf("%s: %w", rule.Name(), err)
			}
			for _, active := range rule.ActiveAlerts() {
				for name, text := range active.Annotations.Map() {
					if strings.Contains(text, "<error expanding template") {
						return nil, fmt.Errorf("%s: %s: %s", rule.Name(), name, text)
					}
				}
				key := active.Labels.String()
				alert := found[key]
				if alert == nil {
					alert = &Alert{Alert: rule.Name(), Labels: active.Labels.Map(), Active: active.ActiveAt.Sub(start).Seconds()}
					found[key] = alert
				}
				if active.State == rules.StateFiring && alert.Fired == nil {
					at := since
					alert.Fired = &at
					alert.Annotations = active.Annotations.Map()
				}
			}
		}
	}
	alerts := []Alert{}
	for _, alert := range found {
		alerts = append(alerts, *alert)
	}
	sort.Slice(alerts, func(i, j int) bool { return alerts[i].Alert < alerts[j].Alert })
	return alerts, nil
}

func (r Recording) alertingRules(logger *slog.Logger) ([]*rules.AlertingRule, error) {
	var alerting []*rules.AlertingRule
	for _, rule := range r.Rules {
		expression, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Alert, err)
		}
		hold := model.Duration(0)
		if rule.For != "" {
			if hold, err = model.ParseDuration(rule.For); err != nil {
				return nil, fmt.Errorf("%s: %w", rule.Alert, err)
			}
		}
		alerting = append(alerting, rules.NewAlertingRule(
			rule.Alert, expression, time.Duration(hold), 0,
			labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, logger,
		))
	}
	return alerting, nil
}

type take struct {
	at      float64
	samples []Sample
}

// read parses every answer once, and gives its samples the labels of their target.
func (r Recording) read() ([]take, error) {
	var takes []take
	for _, recorded := range r.Takes {
		var samples []Sample
		for _, target := range recorded.Targets {
			keep, err := regexp.Compile("^(?s:" + target.Keep + ")$")
			if err != nil {
				return nil, err
			}
			up := 0.0
			if target.Answer != nil {
				up = 1
				answered, err := target.Answer.samples()
				if err != nil {
					return nil, fmt.Errorf("%v: %w", target.Labels, err)
				}
				for _, sample := range answered {
					if !keep.MatchString(sample.series.Get(labels.MetricName)) {
						continue
					}
					sample.series = target.add(sample.series)
					samples = append(samples, sample)
				}
			}
			samples = append(samples, Sample{series: target.add(labels.FromStrings(labels.MetricName, "up")), value: up})
		}
		takes = append(takes, take{recorded.At, samples})
	}
	if len(takes) == 0 {
		return nil, fmt.Errorf("nothing is recorded")
	}
	return takes, nil
}

func (t Target) add(series labels.Labels) labels.Labels {
	builder := labels.NewBuilder(series)
	for name, value := range t.Labels {
		if old := series.Get(name); old != "" {
			builder.Set("exported_"+name, old)
		}
		builder.Set(name, value)
	}
	return builder.Labels()
}

// scrape stores samples, and marks series as gone that were there at the last scrape.
func scrape(db storage.Appendable, samples []Sample, seen map[uint64]labels.Labels, now time.Time) (map[uint64]labels.Labels, error) {
	appender := db.Appender(context.Background())
	there := map[uint64]labels.Labels{}
	for _, sample := range samples {
		if _, err := appender.Append(0, sample.series, now.UnixMilli(), sample.value); err != nil {
			return nil, fmt.Errorf("%s: %w", sample.series, err)
		}
		there[sample.series.Hash()] = sample.series
	}
	for hash, series := range seen {
		if _, ok := there[hash]; !ok {
			if _, err := appender.Append(0, series, now.UnixMilli(), math.Float64frombits(value.StaleNaN)); err != nil {
				return nil, err
			}
		}
	}
	return there, appender.Commit()
}
