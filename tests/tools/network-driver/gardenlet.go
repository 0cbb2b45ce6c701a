// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/component/extensions/network"
)

// report is what a call as gardenlet tells: the stored Network before and after, and how the operation ended.
type report struct {
	Operation string  `json:"operation"`
	Before    *stored `json:"before,omitempty"`
	After     *stored `json:"after,omitempty"`
	Error     string  `json:"error,omitempty"`
	Seconds   float64 `json:"seconds"`
}

// stored is what a test compares of a Network; all else it reads from the API server.
type stored struct {
	Generation      int64  `json:"generation"`
	ResourceVersion string `json:"resourceVersion"`
	Timestamp       string `json:"timestamp,omitempty"`
	// State is what gardenlet saves in the ShootState when the control plane moves to another Seed.
	State json.RawMessage `json:"state,omitempty"`
}

// gardenlet is one Network as gardenlet deploys it.
type gardenlet struct {
	client    client.Client
	component network.Interface
	values    *network.Values
	stateFile string
}

func runGardenlet(ctx context.Context, log logr.Logger, operation string, arguments []string) (*report, error) {
	g, err := newGardenlet(log, arguments)
	if err != nil {
		return nil, err
	}
	r := &report{Operation: operation}
	if r.Before, err = g.stored(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	err = g.run(ctx, operation)
	r.Seconds = time.Since(start).Seconds()
	if errors.Is(err, errUnknown) {
		return nil, err
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.After, err = g.stored(ctx)
	return r, err
}

func newGardenlet(log logr.Logger, arguments []string) (*gardenlet, error) {
	flags := flag.NewFlagSet("network-driver", flag.ExitOnError)
	var (
		kubeconfig     = flags.String("kubeconfig", "", "kubeconfig of the Seed")
		namespace      = flags.String("namespace", "", "namespace of the Shoot")
		name           = flags.String("name", "", "name of the Shoot")
		networkType    = flags.String("type", "calico", "type of the Network")
		providerConfig = flags.String("provider-config", "", "the providerConfig, JSON; none when empty")
		pods           = flags.String("pods", "100.96.0.0/11", "networks of the Pods, separated by commas")
		services       = flags.String("services", "100.64.0.0/13", "networks of the Services, separated by commas")
		families       = flags.String("ip-families", "IPv4", "IP families, separated by commas")
		// gardenlet asks every five seconds and gives up after three minutes; tests need not wait that long.
		interval = flags.Duration("interval", 200*time.Millisecond, "how often the status is read while waiting")
		severe   = flags.Duration("severe", 30*time.Second, "how long an error in the status may last")
		timeout  = flags.Duration("timeout", network.DefaultTimeout, "how long to wait")
		state    = flags.String("state", "", "file with the status.state to restore")
	)
	_ = flags.Parse(arguments)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return nil, err
	}
	if err := extensionsv1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, err
	}
	values := &network.Values{Namespace: *namespace, Name: *name, Type: *networkType}
	for _, family := range strings.Split(*families, ",") {
		values.IPFamilies = append(values.IPFamilies, extensionsv1alpha1.IPFamily(family))
	}
	if values.PodCIDRs, err = parseCIDRs(*pods); err != nil {
		return nil, err
	}
	if values.ServiceCIDRs, err = parseCIDRs(*services); err != nil {
		return nil, err
	}
	if *providerConfig != "" {
		values.ProviderConfig = &runtime.RawExtension{Raw: []byte(*providerConfig)}
	}
	return &gardenlet{c, network.New(log, c, values, *interval, *severe, *timeout), values, *state}, nil
}

var errUnknown = errors.New("unknown operation")

func (g *gardenlet) run(ctx context.Context, operation string) error {
	switch operation {
	case "deploy":
		return g.component.Deploy(ctx)
	case "wait":
		// As after a restart of gardenlet: the timestamp to wait for is the stored one.
		if _, err := g.component.Get(ctx); err != nil {
			return err
		}
		return g.component.Wait(ctx)
	case "deploy-wait":
		return sequence(ctx, g.component.Deploy, g.component.Wait)
	case "migrate":
		return sequence(ctx, g.component.Migrate, g.component.WaitMigrate)
	case "restore":
		return sequence(ctx, g.restore, g.component.Wait)
	case "destroy":
		return sequence(ctx, g.component.Destroy, g.component.WaitCleanup)
	default:
		return fmt.Errorf("%w %q", errUnknown, operation)
	}
}

// restore makes the Network on another Seed, from what was saved of it on the old one.
func (g *gardenlet) restore(ctx context.Context) error {
	shootState := &gardencorev1beta1.ShootState{}
	if g.stateFile != "" {
		state, err := os.ReadFile(g.stateFile)
		if err != nil {
			return err
		}
		shootState.Spec.Extensions = []gardencorev1beta1.ExtensionResourceState{{
			Kind: extensionsv1alpha1.NetworkResource, Name: &g.values.Name, State: &runtime.RawExtension{Raw: state},
		}}
	}
	return g.component.Restore(ctx, shootState)
}

func (g *gardenlet) stored(ctx context.Context) (*stored, error) {
	object := &extensionsv1alpha1.Network{}
	err := g.client.Get(ctx, client.ObjectKey{Namespace: g.values.Namespace, Name: g.values.Name}, object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &stored{
		Generation:      object.Generation,
		ResourceVersion: object.ResourceVersion,
		Timestamp:       object.Annotations[v1beta1constants.GardenerTimestamp],
	}
	if object.Status.State != nil {
		s.State = object.Status.State.Raw
	}
	return s, nil
}

func sequence(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func parseCIDRs(text string) ([]net.IPNet, error) {
	var cidrs []net.IPNet
	for _, part := range strings.Split(text, ",") {
		_, cidr, err := net.ParseCIDR(part)
		if err != nil {
			return nil, err
		}
		cidrs = append(cidrs, *cidr)
	}
	return cidrs, nil
}
