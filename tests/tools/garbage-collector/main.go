// SPDX-License-Identifier: Apache-2.0

// Command garbage-collector runs Kubernetes' own garbage collector, as kube-controller-manager does, and no other
// controller: objects whose owners are gone go too.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
)

// What kube-controller-manager has by default.
const (
	workers = 20
	period  = 30 * time.Second
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the API server")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "garbage-collector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string) error {
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	rest.QPS, rest.Burst = 200, 400
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(rest)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	ignored := map[schema.GroupResource]struct{}{}
	for resource := range garbagecollector.DefaultIgnoredResources() {
		ignored[resource] = struct{}{}
	}
	started := make(chan struct{})
	typed := informers.NewSharedInformerFactory(client, 0)
	factory := informerfactory.NewInformerFactory(typed, metadatainformer.NewSharedInformerFactory(objects, 0))
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, objects, mapper, ignored, factory, started)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	close(started)
	go collector.Sync(ctx, client.Discovery(), period)
	collector.Run(ctx, workers, period)
	return nil
}
