// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// rendered is one line of the record: a Network as it would have reached the DaemonSet of Calico.
type rendered struct {
	Time           time.Time                     `json:"time"`
	Namespace      string                        `json:"namespace"`
	Operation      string                        `json:"operation"`
	Generation     int64                         `json:"generation"`
	ProviderConfig json.RawMessage               `json:"providerConfig"`
	IPFamilies     []extensionsv1alpha1.IPFamily `json:"ipFamilies"`
}

// behaviour is what tests may ask of the extension. Without the file it renders whatever it is given, at once.
type behaviour struct {
	// GateKubeconfig is a kubeconfig of the Shoot: with it the extension has the feature gate SeamlessOverlaySwitch.
	GateKubeconfig string `json:"gateKubeconfig"`
}

// actuator stands in for that of networking-calico: what the real one would render it writes down.
type actuator struct {
	record, behaviour string

	mutex sync.Mutex
	// last is what was rendered last per namespace. The real one finds it in its ManagedResource.
	last map[string]rendered
}

func newActuator(record, behaviour string) (*actuator, error) {
	a := &actuator{record: record, behaviour: behaviour, last: map[string]rendered{}}
	file, err := os.Open(record)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line rendered
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, err
		}
		a.remember(line)
	}
	return a, lines.Err()
}

// Reconcile implements network.Actuator.
func (a *actuator) Reconcile(ctx context.Context, _ logr.Logger, n *extensionsv1alpha1.Network, _ *extensionscontroller.Cluster) error {
	return a.render(ctx, "reconcile", n)
}

// Restore implements network.Actuator. The real one reconciles too and does not look at status.state.
func (a *actuator) Restore(ctx context.Context, _ logr.Logger, n *extensionsv1alpha1.Network, _ *extensionscontroller.Cluster) error {
	return a.render(ctx, "restore", n)
}

// Migrate implements network.Actuator. The real one lets go of its ManagedResource and leaves status.state alone.
func (a *actuator) Migrate(_ context.Context, _ logr.Logger, n *extensionsv1alpha1.Network, _ *extensionscontroller.Cluster) error {
	return a.write("migrate", n)
}

// Delete implements network.Actuator.
func (a *actuator) Delete(_ context.Context, _ logr.Logger, n *extensionsv1alpha1.Network, _ *extensionscontroller.Cluster) error {
	return a.write("delete", n)
}

// ForceDelete implements network.Actuator.
func (a *actuator) ForceDelete(ctx context.Context, log logr.Logger, n *extensionsv1alpha1.Network, c *extensionscontroller.Cluster) error {
	return a.Delete(ctx, log, n, c)
}

func (a *actuator) render(ctx context.Context, operation string, n *extensionsv1alpha1.Network) error {
	behaviour, err := a.readBehaviour()
	if err != nil {
		return err
	}
	if behaviour.GateKubeconfig != "" {
		a.mutex.Lock()
		last, found := a.last[n.Namespace]
		a.mutex.Unlock()
		// What was never rendered here is not switched: so the gate lets a migrated Shoot pass.
		if found && wantsOverlay(last.ProviderConfig) && !wantsOverlay(raw(n)) {
			if err := routesCreated(ctx, behaviour.GateKubeconfig); err != nil {
				return err
			}
		}
	}
	return a.write(operation, n)
}

func (a *actuator) readBehaviour() (behaviour, error) {
	var b behaviour
	content, err := os.ReadFile(a.behaviour)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(content, &b)
}

func (a *actuator) write(operation string, n *extensionsv1alpha1.Network) error {
	line := rendered{time.Now().UTC(), n.Namespace, operation, n.Generation, raw(n), n.Spec.IPFamilies}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	a.remember(line)
	file, err := os.OpenFile(a.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Close())
}

// remember keeps what is deployed now.
func (a *actuator) remember(line rendered) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch line.Operation {
	case "reconcile", "restore":
		a.last[line.Namespace] = line
	default:
		delete(a.last, line.Namespace)
	}
}

// raw is the providerConfig as it is stored; nil, null in JSON, without one.
func raw(n *extensionsv1alpha1.Network) json.RawMessage {
	if n.Spec.ProviderConfig == nil {
		return nil
	}
	return n.Spec.ProviderConfig.Raw
}
