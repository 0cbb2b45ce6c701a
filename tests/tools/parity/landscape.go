// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

const (
	kubernetesVersion = "1.33.4"
	projectNamespace  = "garden-local"
	domain            = "example.com"
)

// testCase is one row of the table below; it holds what distinguishes a landscape from the others.
type testCase struct {
	// name is the name of the output directory.
	name string
	// shoot is the name of the Shoot. Two cases may share one, so that their files differ in nothing but what follows
	// from the networks.
	shoot            string
	seedPods         string
	highAvailability bool
	workerless       bool
	// pods, services and nodes are the Shoot's networks as its status lists them. Its specification has room for the
	// first of each kind only.
	pods, services, nodes []string
	ipFamilies            []gardencorev1beta1.IPFamily
	// withProxyConfig also writes the configuration of the egress selector and of Envoy.
	withProxyConfig bool
}

func cases() []testCase {
	var (
		ipv4      = []gardencorev1beta1.IPFamily{gardencorev1beta1.IPFamilyIPv4}
		dualStack = []gardencorev1beta1.IPFamily{gardencorev1beta1.IPFamilyIPv4, gardencorev1beta1.IPFamilyIPv6}

		apart    = "10.64.0.0/11"
		pods     = []string{"100.96.0.0/11"}
		services = []string{"100.64.0.0/13"}
		nodes    = []string{"10.250.0.0/16"}
	)

	return []testCase{
		{
			name: "ha", shoot: "ha", highAvailability: true,
			seedPods: apart, pods: pods, services: services, nodes: nodes, ipFamilies: ipv4,
		},
		{
			name: "ha-overlap", shoot: "ha", highAvailability: true, withProxyConfig: true,
			seedPods: "10.250.128.0/17", pods: pods, services: services, nodes: nodes, ipFamilies: ipv4,
		},
		{
			name: "non-ha", shoot: "non-ha",
			seedPods: apart, pods: pods, services: services, nodes: nodes, ipFamilies: ipv4,
		},
		{
			name: "workerless", shoot: "workerless", workerless: true,
			seedPods: apart, services: services, ipFamilies: ipv4,
		},
		{
			name: "ha-dual-stack", shoot: "ha-dual-stack", highAvailability: true,
			seedPods:   apart,
			pods:       append(pods, "2001:db8:1::/56"),
			services:   append(services, "2001:db8:2::/112"),
			nodes:      append(nodes, "2001:db8:3::/64"),
			ipFamilies: dualStack,
		},
		{
			name: "ha-several-nodes", shoot: "ha-several-nodes", highAvailability: true,
			seedPods: apart, pods: pods, services: services, ipFamilies: ipv4,
			nodes: []string{"10.219.45.0/26", "10.219.45.64/26", "10.96.0.0/11", "10.128.0.0/12"},
		},
		{
			name: "ha-repeated-nodes", shoot: "ha-repeated-nodes", highAvailability: true,
			seedPods: apart, pods: pods, services: services, ipFamilies: ipv4,
			nodes: []string{"10.250.0.0/16", "10.249.0.0/16", "10.249.0.0/16", "10.248.0.1/16", "10.248.0.0/16"},
		},
	}
}

// landscape is everything gardenlet knows about one Shoot when it deploys the kube-apiserver.
type landscape struct {
	shoot        *gardencorev1beta1.Shoot
	seed         *gardencorev1beta1.Seed
	cloudProfile *gardencorev1beta1.CloudProfile
}

// landscape builds the Garden objects and lets Gardener default them, as its API server would.
func (c testCase) landscape() landscape {
	l := landscape{shoot: c.mkShoot(), seed: c.mkSeed(), cloudProfile: mkCloudProfile()}

	gardencorev1beta1.SetObjectDefaults_Shoot(l.shoot)
	gardencorev1beta1.SetObjectDefaults_Seed(l.seed)
	gardencorev1beta1.SetObjectDefaults_CloudProfile(l.cloudProfile)
	return l
}

func (c testCase) mkShoot() *gardencorev1beta1.Shoot {
	technicalID := "shoot--local--" + c.shoot
	uid := types.UID(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(technicalID)).String())

	shoot := &gardencorev1beta1.Shoot{
		ObjectMeta: metav1.ObjectMeta{
			Name:       c.shoot,
			Namespace:  projectNamespace,
			UID:        uid,
			Generation: 1,
		},
		Spec: gardencorev1beta1.ShootSpec{
			CloudProfile:           &gardencorev1beta1.CloudProfileReference{Kind: "CloudProfile", Name: "local"},
			CredentialsBindingName: new("local"),
			DNS:                    &gardencorev1beta1.DNS{Domain: new(c.shoot + ".local." + domain)},
			Kubernetes: gardencorev1beta1.Kubernetes{
				Version: kubernetesVersion,
				KubeAPIServer: &gardencorev1beta1.KubeAPIServerConfig{
					AuditConfig: &gardencorev1beta1.AuditConfig{AuditPolicy: &gardencorev1beta1.AuditPolicy{
						ConfigMapRef: &corev1.ObjectReference{Name: "audit-policy"},
					}},
				},
			},
			// The window is random unless given.
			Maintenance: &gardencorev1beta1.Maintenance{TimeWindow: &gardencorev1beta1.MaintenanceTimeWindow{
				Begin: "220000+0000",
				End:   "230000+0000",
			}},
			Networking: &gardencorev1beta1.Networking{
				Pods:       first(c.pods),
				Services:   first(c.services),
				Nodes:      first(c.nodes),
				IPFamilies: c.ipFamilies,
			},
			Provider: gardencorev1beta1.Provider{Type: "local"},
			Purpose:  new(gardencorev1beta1.ShootPurposeProduction),
			Region:   "local",
			SeedName: new("local"),
		},
		Status: gardencorev1beta1.ShootStatus{
			Gardener: gardencorev1beta1.Gardener{ID: "gardenlet", Name: "gardenlet", Version: "v1.149.0"},
			LastOperation: &gardencorev1beta1.LastOperation{
				Description:    "Shoot cluster has been successfully reconciled.",
				LastUpdateTime: metav1.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
				Progress:       100,
				State:          gardencorev1beta1.LastOperationStateSucceeded,
				Type:           gardencorev1beta1.LastOperationTypeReconcile,
			},
			Networking: &gardencorev1beta1.NetworkingStatus{
				Pods:     c.pods,
				Services: c.services,
				Nodes:    c.nodes,
			},
			ObservedGeneration: 1,
			SeedName:           new("local"),
			TechnicalID:        technicalID,
			UID:                uid,
		},
	}

	if c.highAvailability {
		shoot.Spec.ControlPlane = &gardencorev1beta1.ControlPlane{HighAvailability: &gardencorev1beta1.HighAvailability{
			FailureTolerance: gardencorev1beta1.FailureTolerance{Type: gardencorev1beta1.FailureToleranceTypeNode},
		}}
	}

	// A Shoot without workers must name neither a network plugin nor pod and node networks.
	if !c.workerless {
		shoot.Spec.Networking.Type = new("calico")
		shoot.Spec.Provider.Workers = []gardencorev1beta1.Worker{{
			Name: "worker",
			Machine: gardencorev1beta1.Machine{
				Type:         "local",
				Image:        &gardencorev1beta1.ShootMachineImage{Name: "local", Version: new("1.0.0")},
				Architecture: new("amd64"),
			},
			Minimum: 1,
			Maximum: 3,
			Zones:   []string{"0"},
		}}
	}

	return shoot
}

func (c testCase) mkSeed() *gardencorev1beta1.Seed {
	return &gardencorev1beta1.Seed{
		ObjectMeta: metav1.ObjectMeta{Name: "local", Generation: 1},
		Spec: gardencorev1beta1.SeedSpec{
			Ingress: &gardencorev1beta1.Ingress{Domain: "ingress.seed." + domain, Controller: gardencorev1beta1.IngressController{Kind: "nginx"}},
			Networks: gardencorev1beta1.SeedNetworks{
				Nodes:    new("10.240.0.0/16"),
				Pods:     c.seedPods,
				Services: "10.200.0.0/13",
			},
			Provider: gardencorev1beta1.SeedProvider{Type: "local", Region: "local", Zones: []string{"0", "1", "2"}},
		},
		Status: gardencorev1beta1.SeedStatus{
			ClusterIdentity:    new("seed-local"),
			KubernetesVersion:  new(kubernetesVersion),
			ObservedGeneration: 1,
		},
	}
}

func mkCloudProfile() *gardencorev1beta1.CloudProfile {
	return &gardencorev1beta1.CloudProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "local", Generation: 1},
		Spec: gardencorev1beta1.CloudProfileSpec{
			Type:       "local",
			Kubernetes: gardencorev1beta1.KubernetesSettings{Versions: []gardencorev1beta1.ExpirableVersion{{Version: kubernetesVersion}}},
			MachineImages: []gardencorev1beta1.MachineImage{{
				Name: "local",
				Versions: []gardencorev1beta1.MachineImageVersion{{
					ExpirableVersion: gardencorev1beta1.ExpirableVersion{Version: "1.0.0"},
					CRI:              []gardencorev1beta1.CRI{{Name: gardencorev1beta1.CRINameContainerD}},
					Architectures:    []string{"amd64"},
				}},
			}},
			MachineTypes: []gardencorev1beta1.MachineType{{
				Name:   "local",
				CPU:    resource.MustParse("4"),
				GPU:    resource.MustParse("0"),
				Memory: resource.MustParse("16Gi"),
			}},
			Regions: []gardencorev1beta1.Region{{Name: "local", Zones: []gardencorev1beta1.AvailabilityZone{{Name: "0"}}}},
		},
	}
}

func first(networks []string) *string {
	if len(networks) == 0 {
		return nil
	}
	return &networks[0]
}
