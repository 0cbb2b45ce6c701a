// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/gardener/gardener/extensions/pkg/controller/network"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// runExtension reconciles the Networks of a Seed until it is stopped.
func runExtension(ctx context.Context, log logr.Logger, arguments []string) error {
	flags := flag.NewFlagSet("network-driver extension", flag.ExitOnError)
	var (
		kubeconfig = flags.String("kubeconfig", "", "kubeconfig of the Seed")
		types      = flags.String("types", "calico", "types of Networks to reconcile, separated by commas")
		record     = flags.String("record", "", "file that gets a line of JSON for each Network that was rendered")
		behaviour  = flags.String("behaviour", "", "file that says how to behave, read anew each time; see Behaviour")
	)
	_ = flags.Parse(arguments)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	// As extensions are configured; the default of twenty calls a second would hold up what a test watches.
	config.QPS, config.Burst = 100, 130
	if err := extensionsv1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return err
	}
	mgr, err := manager.New(config, manager.Options{
		Logger:  log,
		Scheme:  scheme.Scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	calico, err := newActuator(*record, *behaviour)
	if err != nil {
		return err
	}
	skip := true
	for _, networkType := range strings.Split(*types, ",") {
		if err := network.Add(mgr, network.AddArgs{
			Actuator:         calico,
			Type:             networkType,
			ExtensionClasses: []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot},
			Predicates:       network.DefaultPredicates(ctx, mgr, false),
			// In life each type is a program of its own, so the library gives all controllers the same name.
			ControllerOptions: controller.Options{MaxConcurrentReconciles: 5, SkipNameValidation: &skip},
		}); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}
