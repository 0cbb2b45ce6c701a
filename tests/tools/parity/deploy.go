// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverv1beta1 "k8s.io/apiserver/pkg/apis/apiserver/v1beta1"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/gardener/gardener/imagevector"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	fakekubernetes "github.com/gardener/gardener/pkg/client/kubernetes/fake"
	"github.com/gardener/gardener/pkg/component/apiserver"
	"github.com/gardener/gardener/pkg/component/etcd/etcd"
	kubeapiserver "github.com/gardener/gardener/pkg/component/kubernetes/apiserver"
	vpnseedserver "github.com/gardener/gardener/pkg/component/networking/vpn/seedserver"
	"github.com/gardener/gardener/pkg/extensions"
	"github.com/gardener/gardener/pkg/gardenlet/operation/shoot"
	imagevectorutils "github.com/gardener/gardener/pkg/utils/imagevector"
	secretsutils "github.com/gardener/gardener/pkg/utils/secrets"
	fakesecretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager/fake"
)

// replicas is fixed because in a live control plane the autoscaler owns the number.
const replicas = 2

// auditPolicy is a policy of the usual kind; only the hash of its text reaches the Deployment.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
- RequestReceived
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version"]
- level: Metadata
`

// result is what the tests read of the objects gardenlet creates in a control-plane namespace.
type result struct {
	cluster               *extensionsv1alpha1.Cluster
	deployment            *appsv1.Deployment
	egressSelector, envoy []byte
	// vpnShoot is the other end of the VPN, a StatefulSet or a Deployment; nil without workers.
	vpnShoot client.Object
}

// fixRandomness replaces Gardener's sources of tokens, keys and time by the constants its own tests use. Names of Secrets
// carry hashes of generated content and a health-check token stands in the probes, so without it no two runs would be
// alike. It also means that nothing in the output is a secret: the token is a row of underscores.
func fixRandomness() {
	secretsutils.GenerateRandomString = secretsutils.FakeGenerateRandomString
	secretsutils.GenerateKey = secretsutils.FakeGenerateKey
	secretsutils.GenerateVPNKey = secretsutils.FakeGenerateVPNKey
	secretsutils.Read = func(b []byte) (int, error) {
		for i := range b {
			b[i] = '_'
		}
		return len(b), nil
	}
	secretsutils.Clock = testclock.NewFakeClock(time.Unix(0, 0))
}

// deploy does to a fake Seed what gardenlet does to a real one.
func (l landscape) deploy(ctx context.Context) (*result, error) {
	var (
		namespace = l.shoot.Status.TechnicalID
		// The default tracker of the fake client understands server-side apply, which nothing here needs and which is
		// costly for a scheme of this size.
		seedClient = fakeclient.NewClientBuilder().
				WithScheme(kubernetes.SeedScheme).
				WithObjectTracker(clienttesting.NewObjectTracker(kubernetes.SeedScheme, scheme.Codecs.UniversalDecoder())).
				Build()
		clientSet      = fakekubernetes.NewClientSetBuilder().WithClient(seedClient).WithAPIReader(seedClient).Build()
		secretsManager = fakesecretsmanager.New(seedClient, namespace)
	)

	if err := extensions.SyncClusterResourceToSeed(ctx, seedClient, namespace, l.shoot, l.cloudProfile, l.seed); err != nil {
		return nil, err
	}
	if err := createForeignSecrets(ctx, seedClient, namespace); err != nil {
		return nil, err
	}

	values, err := l.values()
	if err != nil {
		return nil, err
	}
	if err := kubeapiserver.New(clientSet, namespace, secretsManager, values).Deploy(ctx); err != nil {
		return nil, err
	}
	result, err := read(ctx, seedClient, namespace)
	if err != nil || v1beta1helper.IsWorkerless(l.shoot) {
		return result, err
	}
	result.vpnShoot, err = l.deployVPNShoot(ctx, seedClient, secretsManager, values)
	return result, err
}

// createForeignSecrets creates what other steps of a reconciliation have created by the time the kube-apiserver is
// deployed. The component needs their names only.
func createForeignSecrets(ctx context.Context, c client.Client, namespace string) error {
	for _, name := range []string{
		v1beta1constants.SecretNameCACluster,
		v1beta1constants.SecretNameCAClient,
		v1beta1constants.SecretNameCAETCD,
		v1beta1constants.SecretNameCAFrontProxy,
		v1beta1constants.SecretNameCAKubelet,
		v1beta1constants.SecretNameCAVPN,
		v1beta1constants.SecretNameServiceAccountKey + "-bundle",
		etcd.SecretNameClient,
		vpnseedserver.SecretNameTLSAuth,
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
		if err := c.Create(ctx, secret); err != nil {
			return err
		}
	}
	return nil
}

// values derives the component's input from the Garden objects, with the choices gardenlet makes, so that a Deployment
// and its Cluster cannot disagree.
func (l landscape) values() (kubeapiserver.Values, error) {
	var (
		config     = l.shoot.Spec.Kubernetes.KubeAPIServer
		hostname   = fmt.Sprintf("api.%s.local.internal.%s", l.shoot.Name, domain)
		workerless = v1beta1helper.IsWorkerless(l.shoot)
		version    = semver.MustParse(l.shoot.Spec.Kubernetes.Version)
		values     kubeapiserver.Values
		vpn        kubeapiserver.VPNConfig
	)

	images, err := images(version)
	if err != nil {
		return values, err
	}
	networks, err := shoot.ToNetworks(l.shoot, workerless)
	if err != nil {
		return values, err
	}

	if !workerless {
		vpn = kubeapiserver.VPNConfig{
			Enabled:                              true,
			HighAvailabilityEnabled:              v1beta1helper.IsHAVPNEnabled(l.shoot),
			HighAvailabilityNumberOfSeedServers:  vpnseedserver.HighAvailabilityReplicaCount,
			HighAvailabilityNumberOfShootClients: vpnseedserver.HighAvailabilityReplicaCount,
			PodNetworkCIDRs:                      networks.Pods,
			NodeNetworkCIDRs:                     networks.Nodes,
			IPFamilies:                           l.seed.Spec.Networks.IPFamilies,
		}
		_, seedPods, err := net.ParseCIDR(l.seed.Spec.Networks.Pods)
		if err != nil {
			return values, err
		}
		vpn.SeedPodNetwork = *seedPods
	}

	return kubeapiserver.Values{
		Values: apiserver.Values{
			Audit: &apiserver.AuditConfig{Policy: new(auditPolicy)},
			EnabledAdmissionPlugins: []apiserver.AdmissionPluginConfig{
				{AdmissionPlugin: gardencorev1beta1.AdmissionPlugin{Name: "NodeRestriction"}},
			},
			ETCDEncryption: apiserver.ETCDEncryptionConfig{
				EncryptWithCurrentKey: true,
				ResourcesToEncrypt:    []string{"secrets"},
				EncryptedResources:    []string{"secrets"},
				EncryptionProvider:    *config.EncryptionConfig.Provider.Type,
			},
			// Follows from TLS being terminated by Istio in front of the API server, the default for a Shoot.
			FeatureGates:   map[string]bool{"UnauthenticatedHTTP2DOSMitigation": false},
			Logging:        config.Logging,
			Requests:       config.Requests,
			RuntimeVersion: semver.MustParse(*l.seed.Status.KubernetesVersion),
		},
		APIAudiences:          []string{"kubernetes", v1beta1constants.GardenerAudience},
		AuthorizationWebhooks: []kubeapiserver.AuthorizationWebhook{nodeAgentAuthorizer()},
		Autoscaling: kubeapiserver.AutoscalingConfig{
			APIServerResources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("250m"),
				corev1.ResourceMemory: resource.MustParse("500Mi"),
			}},
			Replicas:    new(int32(replicas)),
			MinReplicas: replicas,
			MaxReplicas: 6,
		},
		DefaultNotReadyTolerationSeconds:    config.DefaultNotReadyTolerationSeconds,
		DefaultUnreachableTolerationSeconds: config.DefaultUnreachableTolerationSeconds,
		EventTTL:                            config.EventTTL,
		ExternalHostname:                    hostname,
		Images:                              images,
		IsWorkerless:                        workerless,
		PriorityClassName:                   v1beta1constants.PriorityClassNameShootControlPlane500,
		ServiceAccount:                      kubeapiserver.ComputeKubeAPIServerServiceAccountConfig(nil, hostname, ""),
		ServiceNetworkCIDRs:                 networks.Services,
		SNI: kubeapiserver.SNIConfig{
			Enabled: true,
			// The service's address in the Seed, 10.200.17.42, mapped into 240.0.0.0/8.
			AdvertiseAddress: "240.200.17.42",
			TLS: []kubeapiserver.TLSSNIConfig{{
				SecretName:     new("control-plane-wildcard-cert"),
				DomainPatterns: []string{fmt.Sprintf("api-local--%s.%s", l.shoot.Name, l.seed.Spec.Ingress.Domain)},
			}},
		},
		Version: version,
		VPN:     vpn,
	}, nil
}

// images takes the images from the release itself.
func images(version *semver.Version) (kubeapiserver.Images, error) {
	var images kubeapiserver.Images

	for name, image := range map[string]*string{
		imagevector.ContainerImageNameKubeApiserver: &images.KubeAPIServer,
		imagevector.ContainerImageNameVpnClient:     &images.VPNClient,
		imagevector.ContainerImageNameEnvoyProxy:    &images.EnvoyProxy,
	} {
		found, err := imagevector.Containers().FindImage(name,
			imagevectorutils.RuntimeVersion(version.String()), imagevectorutils.TargetVersion(version.String()))
		if err != nil {
			return images, err
		}
		*image = found.String()
	}
	return images, nil
}

// nodeAgentAuthorizer is the authorization webhook every Shoot gets.
func nodeAgentAuthorizer() kubeapiserver.AuthorizationWebhook {
	return kubeapiserver.AuthorizationWebhook{
		Name: "node-agent-authorizer",
		// Only the hash of its text reaches the Deployment.
		Kubeconfig: []byte("apiVersion: v1\nkind: Config\n"),
		WebhookConfiguration: apiserverv1beta1.WebhookConfiguration{
			AuthorizedTTL:                            metav1.Duration{Duration: time.Nanosecond},
			UnauthorizedTTL:                          metav1.Duration{Duration: time.Nanosecond},
			Timeout:                                  metav1.Duration{Duration: 10 * time.Second},
			FailurePolicy:                            apiserverv1beta1.FailurePolicyDeny,
			SubjectAccessReviewVersion:               "v1",
			MatchConditionSubjectAccessReviewVersion: "v1",
			MatchConditions: []apiserverv1beta1.WebhookMatchCondition{{
				Expression: fmt.Sprintf("'%s' in request.groups", v1beta1constants.NodeAgentsGroup),
			}},
		},
	}
}

func read(ctx context.Context, c client.Client, namespace string) (*result, error) {
	r := &result{cluster: &extensionsv1alpha1.Cluster{}, deployment: &appsv1.Deployment{}}

	if err := c.Get(ctx, client.ObjectKey{Name: namespace}, r.cluster); err != nil {
		return nil, err
	}
	r.cluster.TypeMeta = metav1.TypeMeta{APIVersion: extensionsv1alpha1.SchemeGroupVersion.String(), Kind: "Cluster"}
	r.cluster.ResourceVersion = ""

	key := client.ObjectKey{Namespace: namespace, Name: v1beta1constants.DeploymentNameKubeAPIServer}
	if err := c.Get(ctx, key, r.deployment); err != nil {
		return nil, err
	}
	r.deployment.TypeMeta = metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"}
	r.deployment.ResourceVersion = ""

	configMaps := &corev1.ConfigMapList{}
	if err := c.List(ctx, configMaps, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	for _, configMap := range configMaps.Items {
		// The names end in a hash of the content.
		switch {
		case strings.HasPrefix(configMap.Name, "kube-apiserver-egress-selector-config-"):
			r.egressSelector = []byte(configMap.Data["egress-selector-configuration.yaml"])
		case strings.HasPrefix(configMap.Name, "kube-apiserver-envoy-config-"):
			r.envoy = []byte(configMap.Data["envoy.yaml"])
		}
	}
	return r, nil
}
