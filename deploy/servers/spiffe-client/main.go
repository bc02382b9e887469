// Command spiffe-client is go-spiffe as a workload uses it: the tests hold our Workload API against it.
//
//	spiffe-client x509 COUNT     prints "ID SERIAL BUNDLES" for each of so many states of the X.509 context
//	spiffe-client jwt AUDIENCE   fetches a JWT-SVID, checks it by the bundles that were fetched, prints its ID
//	spiffe-client validate AUDIENCE TOKEN   has the Workload API check a token, prints its ID
//
// SPIFFE_ENDPOINT_SOCKET says where the API is.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type watcher struct {
	left int
	done context.CancelFunc
}

func (w *watcher) OnX509ContextUpdate(found *workloadapi.X509Context) {
	svid := found.DefaultSVID()
	fmt.Printf("%s %x %d\n", svid.ID, svid.Certificates[0].SerialNumber, len(found.Bundles.Bundles()))
	if w.left--; w.left == 0 {
		w.done()
	}
}

func (w *watcher) OnX509ContextWatchError(err error) {
	fmt.Fprintln(os.Stderr, err)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, cancel, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cancel context.CancelFunc, words []string) error {
	switch {
	case len(words) == 2 && words[0] == "x509":
		count, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		watching := &watcher{left: count, done: cancel}
		err = workloadapi.WatchX509Context(ctx, watching)
		if watching.left == 0 {
			return nil
		}
		return err
	case len(words) == 2 && words[0] == "jwt":
		return jwt(ctx, words[1])
	case len(words) == 3 && words[0] == "validate":
		svid, err := workloadapi.ValidateJWTSVID(ctx, words[2], words[1])
		if err != nil {
			return err
		}
		fmt.Println(svid.ID)
		return nil
	}
	return fmt.Errorf("usage: spiffe-client x509 COUNT | jwt AUDIENCE | validate AUDIENCE TOKEN")
}

func jwt(ctx context.Context, audience string) error {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	fetched, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	checked, err := jwtsvid.ParseAndValidate(fetched.Marshal(), source, []string{audience})
	if err != nil {
		return err
	}
	fmt.Println(checked.ID)
	return nil
}
