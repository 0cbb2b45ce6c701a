// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"
	netutils "github.com/gardener/gardener/pkg/utils/net"
)

const (
	// apiServer is the container that is told about the proxy.
	apiServer = "kube-apiserver"
	// firstVPNClient is the container the proxy is put in front of. Only control planes with a highly available VPN have
	// it, and only they are changed.
	firstVPNClient = "vpn-client-0"
)

// additions is what the Deployment gains on overlap. It comes from a file so that both sides of the benchmark add the
// same bytes.
type additions struct {
	Container             corev1.Container     `json:"container"`
	EgressArgument        string               `json:"egressArgument"`
	Mounts                []corev1.VolumeMount `json:"mounts"`
	Volumes               []corev1.Volume      `json:"volumes"`
	TemplateAnnotations   map[string]string    `json:"templateAnnotations"`
	DeploymentAnnotations map[string]string    `json:"deploymentAnnotations"`
}

type mutator struct {
	additions *additions
	// overlaps answers for the Shoot whose Deployment is reviewed.
	overlaps func() (bool, error)
}

func newMutator(cluster *extensionsv1alpha1.Cluster, additions *additions, decodeCluster bool) (*mutator, error) {
	// Also done when every review repeats it: a Cluster that cannot be read has to fail the start.
	known, err := overlaps(cluster)
	if err != nil {
		return nil, err
	}

	m := &mutator{additions: additions, overlaps: func() (bool, error) { return known, nil }}
	if decodeCluster {
		// The copy stands for the one an informer's cache makes of every object it hands out.
		m.overlaps = func() (bool, error) { return overlaps(cluster.DeepCopy()) }
	}
	return m, nil
}

// Mutate implements [extensionswebhook.Mutator].
func (m *mutator) Mutate(_ context.Context, newObj, _ client.Object) error {
	deployment, ok := newObj.(*appsv1.Deployment)
	if !ok {
		return fmt.Errorf("unexpected object of type %T", newObj)
	}
	if deployment.DeletionTimestamp != nil || deployment.Name != v1beta1constants.DeploymentNameKubeAPIServer {
		return nil
	}

	overlap, err := m.overlaps()
	if err != nil || !overlap {
		return err
	}
	m.ensureAdditions(deployment)
	return nil
}

func (m *mutator) ensureAdditions(deployment *appsv1.Deployment) {
	template := &deployment.Spec.Template

	next := slices.IndexFunc(template.Spec.Containers, func(c corev1.Container) bool { return c.Name == firstVPNClient })
	if next < 0 {
		return
	}
	if extensionswebhook.ContainerWithName(template.Spec.Containers, m.additions.Container.Name) == nil {
		template.Spec.Containers = slices.Insert(template.Spec.Containers, next, *m.additions.Container.DeepCopy())
	}

	if c := extensionswebhook.ContainerWithName(template.Spec.Containers, apiServer); c != nil {
		flag, value, _ := strings.Cut(m.additions.EgressArgument, "=")
		c.Args = extensionswebhook.EnsureStringWithPrefix(c.Args, flag+"=", value)
		for _, mount := range m.additions.Mounts {
			c.VolumeMounts = extensionswebhook.EnsureVolumeMountWithName(c.VolumeMounts, mount)
		}
	}
	for _, volume := range m.additions.Volumes {
		template.Spec.Volumes = extensionswebhook.EnsureVolumeWithName(template.Spec.Volumes, volume)
	}

	for key, value := range m.additions.TemplateAnnotations {
		template.Annotations = extensionswebhook.EnsureAnnotationOrLabel(template.Annotations, key, value)
	}
	for key, value := range m.additions.DeploymentAnnotations {
		deployment.Annotations = extensionswebhook.EnsureAnnotationOrLabel(deployment.Annotations, key, value)
	}
}

// overlaps tells whether the Seed's pod network overlaps any network of the Shoot.
func overlaps(cluster *extensionsv1alpha1.Cluster) (bool, error) {
	seed, err := extensions.SeedFromCluster(cluster)
	if err != nil {
		return false, err
	}
	shoot, err := extensions.ShootFromCluster(cluster)
	if err != nil {
		return false, err
	}
	if seed == nil || shoot == nil {
		return false, errors.New("the Cluster lacks its Seed or its Shoot")
	}

	_, seedPods, err := net.ParseCIDR(seed.Spec.Networks.Pods)
	if err != nil {
		return false, err
	}

	var cidrs []string
	if spec := shoot.Spec.Networking; spec != nil {
		for _, cidr := range []*string{spec.Pods, spec.Services, spec.Nodes} {
			if cidr != nil {
				cidrs = append(cidrs, *cidr)
			}
		}
	}
	if status := shoot.Status.Networking; status != nil {
		cidrs = slices.Concat(cidrs, status.Pods, status.Services, status.Nodes)
	}
	for _, cidr := range cidrs {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			return false, err
		}
		if netutils.Overlap(*seedPods, *network) {
			return true, nil
		}
	}
	return false, nil
}
