// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wantsOverlay is how the feature gate SeamlessOverlaySwitch of networking-calico reads a NetworkConfig: only the key
// overlay counts, and without it there is an overlay.
func wantsOverlay(config json.RawMessage) bool {
	var parsed struct {
		Overlay *struct {
			Enabled bool `json:"enabled"`
		} `json:"overlay"`
	}
	if len(config) == 0 || json.Unmarshal(config, &parsed) != nil || parsed.Overlay == nil {
		return true
	}
	return parsed.Overlay.Enabled
}

// routesCreated fails like the gate until every node of the Shoot has its route: nodes on their way out, nodes that are
// not ready and nodes without the condition count like all others.
func routesCreated(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	nodes := &corev1.NodeList{}
	if err := c.List(ctx, nodes); err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if !hasRoute(node) {
			return fmt.Errorf("waiting for routes to be created: node %s", node.Name)
		}
	}
	return nil
}

func hasRoute(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeNetworkUnavailable {
			return condition.Status == corev1.ConditionFalse && condition.Reason == "RouteCreated"
		}
	}
	return false
}
