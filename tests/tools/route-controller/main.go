// SPDX-License-Identifier: Apache-2.0

// Command route-controller runs the route controller of Kubernetes' cloud-controller-managers, with the fake cloud of its
// own tests, and no other controller. It is built twice: here, and on Kubernetes 1.35 in the module route-controller-0.35,
// where this very file is linked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/controllers/route"
	"k8s.io/cloud-provider/fake"
	"k8s.io/component-base/metrics/prometheus/controllers"
	"k8s.io/controller-manager/pkg/features"
	"k8s.io/klog/v2"
)

// What a cloud-controller-manager has by default (--min-resync-period).
const resync = 12 * time.Hour

func main() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the API server")
	pods := flag.String("cluster-cidr", "", "the network of all Pods")
	period := flag.Duration("route-reconciliation-period", 10*time.Second, "pause between two rounds")
	refused := flag.String("refused", "", "file with the names of nodes, one a line, for which the cloud makes no route")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *pods, *period, *refused); err != nil {
		fmt.Fprintln(os.Stderr, "route-controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, pods string, period time.Duration, refused string) error {
	// All gates as they are by default.
	if err := features.SetupCurrentKubernetesSpecificFeatureGates(utilfeature.DefaultMutableFeatureGate); err != nil {
		return err
	}
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	_, network, err := net.ParseCIDR(pods)
	if err != nil {
		return err
	}
	cloud := &limited{Cloud: &fake.Cloud{RouteMap: map[string]*fake.Route{}}, refused: refused}
	factory := informers.NewSharedInformerFactory(client, resync)
	controller, err := route.New(cloud, client, factory.Core().V1().Nodes(), "shoot", []*net.IPNet{network})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	controller.Run(ctx, period, controllers.NewControllerManagerMetrics("route-controller"))
	return nil
}

// limited is the fake cloud, which by itself fails for all nodes or for none: here it has no room for some.
type limited struct {
	*fake.Cloud
	refused string
}

var _ cloudprovider.Routes = (*limited)(nil)

func (c *limited) CreateRoute(ctx context.Context, cluster, hint string, route *cloudprovider.Route) error {
	// A test changes it at any time, in one step.
	names, err := os.ReadFile(c.refused)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if slices.Contains(strings.Fields(string(names)), string(route.TargetNode)) {
		return errors.New("quota of routes exceeded")
	}
	return c.Cloud.CreateRoute(ctx, cluster, hint, route)
}
