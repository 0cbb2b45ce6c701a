// SPDX-License-Identifier: Apache-2.0

// Command garden-monitor prints what gardener-operator lets the Prometheus of the garden scrape of gardener-apiserver: the
// Service and the ServiceMonitor that its own code makes, as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/Masterminds/semver/v3"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	operatorv1alpha1 "github.com/gardener/gardener/pkg/apis/operator/v1alpha1"
	"github.com/gardener/gardener/pkg/component/etcd/etcd"
	"github.com/gardener/gardener/pkg/component/gardener/apiserver"
	operatorclient "github.com/gardener/gardener/pkg/operator/client"
	"github.com/gardener/gardener/pkg/utils/managedresources"
	fakesecretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager/fake"
)

const namespace = "garden"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "garden-monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := fakeclient.NewClientBuilder().WithScheme(operatorclient.RuntimeScheme).Build()
	// What other steps have made by then; only the names count.
	for _, name := range []string{
		operatorv1alpha1.SecretNameCAGardener,
		v1beta1constants.SecretNameCAETCD,
		etcd.SecretNameClient,
		v1beta1constants.SecretNameGenericTokenKubeconfig,
	} {
		if err := c.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
			return err
		}
	}
	values := apiserver.Values{TargetVersion: semver.MustParse("1.35.0")}
	values.RuntimeVersion = semver.MustParse("1.35.0")
	// Without gardener-resource-manager it waits for its Service in vain; by then all that is looked for is there.
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	deployed := apiserver.New(c, namespace, fakesecretsmanager.New(c, namespace), values).Deploy(ctx)
	objects, err := managedresources.GetObjects(context.Background(), c, namespace, apiserver.ManagedResourceNameRuntime)
	if err != nil {
		return errors.Join(deployed, err)
	}
	found := map[string]any{}
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.Service:
			found["service"] = object
		case *monitoringv1.ServiceMonitor:
			found["monitor"] = object
		}
	}
	if len(found) != 2 {
		return fmt.Errorf("found %d of a Service and a ServiceMonitor: %w", len(found), deployed)
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
