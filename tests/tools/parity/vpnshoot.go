// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	kubeapiserver "github.com/gardener/gardener/pkg/component/kubernetes/apiserver"
	vpnseedserver "github.com/gardener/gardener/pkg/component/networking/vpn/seedserver"
	vpnshoot "github.com/gardener/gardener/pkg/component/networking/vpn/shoot"
	"github.com/gardener/gardener/pkg/utils/managedresources"
	secretsutils "github.com/gardener/gardener/pkg/utils/secrets"
	secretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager"
)

// deployVPNShoot writes the end of the VPN that runs in the Shoot, with what the kube-apiserver was given of the networks
// and images, as gardenlet does in the same reconciliation.
func (l landscape) deployVPNShoot(
	ctx context.Context,
	seedClient client.Client,
	secretsManager secretsmanager.Interface,
	values kubeapiserver.Values,
) (
	client.Object,
	error,
) {
	namespace := l.shoot.Status.TechnicalID
	component := vpnshoot.New(seedClient, namespace, withoutKeys{secretsManager}, vpnshoot.Values{
		Image: values.Images.VPNClient,
		ReversedVPN: vpnshoot.ReversedVPNValues{
			Header:     "outbound|1194||" + vpnseedserver.ServiceName + "." + namespace + ".svc.cluster.local",
			Endpoint:   "api." + *l.shoot.Spec.DNS.Domain,
			IPFamilies: l.shoot.Spec.Networking.IPFamilies,
		},
		HighAvailabilityEnabled:              values.VPN.HighAvailabilityEnabled,
		HighAvailabilityNumberOfSeedServers:  values.VPN.HighAvailabilityNumberOfSeedServers,
		HighAvailabilityNumberOfShootClients: values.VPN.HighAvailabilityNumberOfShootClients,
		SeedPodNetwork:                       l.seed.Spec.Networks.Pods,
	})
	component.SetPodNetworkCIDRs(values.VPN.PodNetworkCIDRs)
	component.SetServiceNetworkCIDRs(values.ServiceNetworkCIDRs)
	component.SetNodeNetworkCIDRs(values.VPN.NodeNetworkCIDRs)
	if err := component.Deploy(ctx); err != nil {
		return nil, err
	}

	managedResource := &resourcesv1alpha1.ManagedResource{}
	if err := seedClient.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shoot-core-vpn-shoot"}, managedResource); err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(kubernetes.ShootScheme).UniversalDeserializer()
	for _, reference := range managedResource.Spec.SecretRefs {
		secret := &corev1.Secret{}
		if err := seedClient.Get(ctx, client.ObjectKey{Namespace: namespace, Name: reference.Name}, secret); err != nil {
			return nil, err
		}
		objects, err := managedresources.ExtractObjectsFromSecret(decoder, secret)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			switch workload := object.(type) {
			case *appsv1.StatefulSet:
				workload.TypeMeta = metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet"}
				return workload, nil
			case *appsv1.Deployment:
				workload.TypeMeta = metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"}
				return workload, nil
			}
		}
	}
	return nil, fmt.Errorf("there is no workload of the VPN among what gardenlet writes into the Shoot")
}

// withoutKeys makes no client certificates, whose serial numbers would differ in every run and with them the names of the
// Secrets, which carry hashes of the content.
type withoutKeys struct{ secretsmanager.Interface }

func (withoutKeys) Generate(
	_ context.Context,
	config secretsutils.ConfigInterface,
	_ ...secretsmanager.GenerateOption,
) (
	*corev1.Secret,
	error,
) {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: config.GetName()},
		Data:       map[string][]byte{"data-for": []byte(config.GetName())},
	}, nil
}
