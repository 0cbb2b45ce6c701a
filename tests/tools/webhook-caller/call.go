// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/request"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// caller has what an API server has for a webhook.
type caller struct {
	clients  webhookutil.ClientManager
	accessor atomic.Pointer[webhook.WebhookAccessor]
	review   *admissionv1.AdmissionReview
	report   *report
}

func call(ctx context.Context, o options, report *report) (func(), error) {
	c := &caller{review: &admissionv1.AdmissionReview{}, report: report}
	if err := read(o.review, c.review); err != nil {
		return nil, err
	}
	// As NewWebhook in apiserver/pkg/admission/plugin/webhook/generic/webhook.go makes it.
	var err error
	c.clients, err = webhookutil.NewClientManager(
		[]schema.GroupVersion{admissionv1beta1.SchemeGroupVersion, admissionv1.SchemeGroupVersion},
		admissionv1beta1.AddToScheme, admissionv1.AddToScheme,
	)
	if err != nil {
		return nil, err
	}
	resolver, err := webhookutil.NewDefaultAuthenticationInfoResolver("")
	if err != nil {
		return nil, err
	}
	c.clients.SetAuthenticationInfoResolver(resolver)
	c.clients.SetServiceResolver(webhookutil.NewDefaultServiceResolver())
	if err := c.watch(ctx, o); err != nil {
		return nil, err
	}

	var workers sync.WaitGroup
	for range o.workers {
		workers.Go(func() {
			next := time.Now()
			for ctx.Err() == nil {
				start := time.Now()
				err := c.once()
				report.done(time.Since(start), err)
				next = next.Add(o.spacing)
				if o.spacing == 0 {
					next = time.Now().Add(pause(o.pause))
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Until(next)):
				}
			}
		})
	}
	return workers.Wait, nil
}

// once does what callAttrMutatingHook in apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go does.
func (c *caller) once() error {
	hook := *c.accessor.Load()
	client, err := hook.GetRESTClient(&c.clients)
	if err != nil {
		return err
	}
	review := c.review.DeepCopy()
	review.Request.UID = uuid.NewUUID()
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, _ error) { c.report.dialled.Add(1) },
	})
	post := client.Post().Body(review)
	if seconds := hook.GetTimeoutSeconds(); seconds != nil {
		timeout := time.Duration(*seconds) * time.Second
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		post.Timeout(timeout)
	}
	response := &admissionv1.AdmissionReview{}
	if err := post.Do(ctx).Into(response); err != nil {
		return fmt.Errorf("failed to call webhook: %w", err)
	}
	result, err := request.VerifyAdmissionResponse(review.Request.UID, true, response)
	if err != nil {
		return err
	}
	if !result.Allowed || len(result.Patch) == 0 {
		return fmt.Errorf("allowed %v, a patch of %d bytes, %v", result.Allowed, len(result.Patch), result.Result)
	}
	return nil
}

// watch takes the configuration, and each that comes after it.
func (c *caller) watch(ctx context.Context, o options) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Admissionregistration().V1().MutatingWebhookConfigurations().Informer()
	take := func(object any) {
		configuration, ok := object.(*registrationv1.MutatingWebhookConfiguration)
		if !ok || configuration.Name != o.name {
			return
		}
		if err := c.take(configuration, o.webhook); err != nil {
			fmt.Fprintln(os.Stderr, "webhook-caller:", err)
		}
	}
	registered, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: take, UpdateFunc: func(_, object any) { take(object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), registered.HasSynced) || c.accessor.Load() == nil {
		return errors.New("there is no such configuration")
	}
	return nil
}

// take makes a new accessor, as configuration managers of the API server do for each change, and says that it did.
func (c *caller) take(configuration *registrationv1.MutatingWebhookConfiguration, name string) error {
	for i := range configuration.Webhooks {
		hook := &configuration.Webhooks[i]
		if name == "" || hook.Name == name {
			accessor := webhook.NewMutatingWebhookAccessor(hook.Name, configuration.Name, hook)
			c.accessor.Store(&accessor)
			say("taken %s", configuration.ResourceVersion)
			return nil
		}
	}
	return fmt.Errorf("the configuration has no webhook %q", name)
}

// pause is random, and one in fifty is long, so that the number of connections in use goes up and down and some are idle.
func pause(mean time.Duration) time.Duration {
	if mean == 0 {
		return 0
	}
	if rand.IntN(50) == 0 {
		return rand.N(40 * mean)
	}
	return rand.N(2 * mean)
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
