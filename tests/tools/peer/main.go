// SPDX-License-Identifier: Apache-2.0

// Command peer is the other side of the benchmark: a webhook that makes the same change to the kube-apiserver Deployment,
// written the way an extension in Go is written. It decodes, compares and diffs with Gardener's extension library and
// controller-runtime themselves, so that what is measured is those libraries and not an imitation of them.
//
// Three things a real extension adds on top are left out, each in favour of this program: the Prometheus
// instrumentation of every call, the log line per mutation and, unless -decode-cluster is given, the decoding of the
// Cluster resource per call.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/logger"
)

const (
	mutatePath = "/webhooks/mutate/kube-apiserver"
	// fixedPath answers without looking: what it costs is the transport alone.
	fixedPath = "/fixed"
)

type options struct {
	addr, tlsCert, tlsKey, cluster, additions string
	decodeCluster                             bool
}

func main() {
	var o options
	// Not the global set: libraries Gardener links in have filled that with flags of their own.
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:0", "address to listen on")
	flags.StringVar(&o.tlsCert, "tls-cert", "", "file with the server certificate")
	flags.StringVar(&o.tlsKey, "tls-key", "", "file with the private key")
	flags.StringVar(&o.cluster, "cluster", "", "file with the Cluster resource")
	flags.StringVar(&o.additions, "additions", "", "file with what to add on overlap")
	flags.BoolVar(&o.decodeCluster, "decode-cluster", false, "decode the Cluster for every review, as extensions commonly do")
	_ = flags.Parse(os.Args[1:])

	log.SetLogger(logger.MustNewZapLogger(logger.InfoLevel, logger.FormatJSON))

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	cluster, additions := &extensionsv1alpha1.Cluster{}, &additions{}
	if err := readJSON(o.cluster, cluster); err != nil {
		return err
	}
	if err := readJSON(o.additions, additions); err != nil {
		return err
	}
	mutator, err := newMutator(cluster, additions, o.decodeCluster)
	if err != nil {
		return err
	}
	webhook, err := extensionswebhook.New(fakeManager{}, extensionswebhook.Args{
		Name:     "kube-apiserver",
		Path:     mutatePath,
		Mutators: map[extensionswebhook.Mutator][]extensionswebhook.Type{mutator: {{Obj: &appsv1.Deployment{}}}},
	})
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle(mutatePath, webhook.Webhook)
	mux.HandleFunc(fixedPath, serveFixed)
	return serve(ctx, o, mux)
}

// serve uses the limits of controller-runtime's own webhook server.
func serve(ctx context.Context, o options, handler http.Handler) error {
	certificate, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}

	server := &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    1 << 20,
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}},
		// An empty map keeps net/http from offering HTTP/2.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()

	fmt.Println("listening on", listener.Addr())
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fixedResponse is encoded once.
var fixedResponse = func() []byte {
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &admissionv1.AdmissionResponse{Allowed: true},
	})
	if err != nil {
		panic(err)
	}
	return body
}()

func serveFixed(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(fixedResponse)
}

// fakeManager has the two things the library asks a manager for. No mutator here reads from a cluster.
type fakeManager struct{ manager.Manager }

func (fakeManager) GetScheme() *runtime.Scheme { return scheme.Scheme }
func (fakeManager) GetClient() client.Client   { return nil }

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
