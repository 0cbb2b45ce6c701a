// SPDX-License-Identifier: Apache-2.0

// Command webhook-caller calls a webhook as an API server does, with the code of the API server itself: its clients for
// webhooks, their transport, its reviews' uid and its judgement of answers. What that transport does is not set here; it
// comes from these places (client-go and Go's net/http):
//
//   - 25 idle connections a host: idleConnsPerHost in client-go/transport/cache.go
//   - 90 s until an idle connection is closed: IdleConnTimeout of http.DefaultTransport, which SetOldTransportDefaults in
//     apimachinery/pkg/util/net/http.go copies
//   - a POST whose connection broke is not sent again, once a byte of it was: Request.request in client-go/rest/request.go
//     repeats GET alone, shouldRetryRequest in net/http what was not begun, and Request.isReplayable there knows no POST
//   - no TLS session is resumed: nobody sets a ClientSessionCache
//   - a new caBundle is a new client with a pool of its own: the key of the cache in
//     apiserver/pkg/util/webhook/client.go
//
// The other mode, write, writes kube-apiserver Deployments to a real API server without a pause.
//
// Each line on standard input is answered by a line of JSON with what happened so far, its end by the last one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

type options struct {
	kubeconfig, name, webhook, review, deployment, namespaces string
	workers                                                   int
	pause, spacing                                            time.Duration
}

func main() {
	var o options
	// Not the global set: libraries that are linked in have filled that with flags of their own.
	flags := flag.NewFlagSet("webhook-caller", flag.ExitOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "API server that has the webhook's configuration, which call watches; write writes there")
	flags.StringVar(&o.name, "name", "", "call: the MutatingWebhookConfiguration")
	flags.StringVar(&o.webhook, "webhook", "", "call: the webhook in the configuration; the first one if empty")
	flags.StringVar(&o.review, "review", "", "call: file with an AdmissionReview, JSON")
	flags.StringVar(&o.deployment, "deployment", "", "write: file with a Deployment that the webhook adds containers to, JSON")
	flags.StringVar(&o.namespaces, "namespaces", "", "write: one writer for each of these, with commas between")
	flags.IntVar(&o.workers, "workers", 16, "call: how many call at the same time")
	flags.DurationVar(&o.pause, "pause", 0, "mean pause after a call; now and then a much longer one leaves connections idle")
	flags.DurationVar(&o.spacing, "spacing", 0, "call: exactly this long from call to call of one worker, instead of a pause")
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: webhook-caller call|write [flags]")
		os.Exit(2)
	}
	_ = flags.Parse(os.Args[2:])

	ctx, cancel := context.WithCancel(context.Background())
	result := &report{}
	run := map[string]func(context.Context, options, *report) (func(), error){"call": call, "write": write}[os.Args[1]]
	if run == nil {
		fmt.Fprintln(os.Stderr, "webhook-caller: there is no mode", os.Args[1])
		os.Exit(2)
	}
	wait, err := run(ctx, o, result)
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook-caller:", err)
		os.Exit(1)
	}
	result.answer(os.Stdin)
	// Nothing is cut: a call that is on its way counts too.
	cancel()
	wait()
	result.print()
}
