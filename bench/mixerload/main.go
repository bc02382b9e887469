// Command mixerload makes one unary call again and again, at a steady rate over several connections, and tells as JSON
// how long the answers took, from the moment that each call was due.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// raw lets requests and answers be the bytes that they are.
type raw struct{}

func (raw) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }
func (raw) Name() string                               { return "proto" }

func main() {
	address := flag.String("addr", "", "HOST:PORT")
	method := flag.String("method", "", "/package.Service/Method")
	file := flag.String("body", "", "file with the request")
	rate := flag.Float64("rate", 1000, "calls a second")
	seconds := flag.Float64("seconds", 10, "for how long")
	connections := flag.Int("connections", 8, "how many")
	flag.Parse()
	body, err := os.ReadFile(*file)
	if err != nil {
		panic(err)
	}
	var clients []*grpc.ClientConn
	for i := 0; i < *connections; i++ {
		client, err := grpc.Dial(*address, grpc.WithInsecure(), grpc.WithBlock(),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
		if err != nil {
			panic(err)
		}
		clients = append(clients, client)
	}
	var lock sync.Mutex
	var took []float64
	failed := map[string]int{}
	var calls sync.WaitGroup
	began := time.Now()
	total := int(*rate * *seconds)
	for i := 0; i < total; i++ {
		due := began.Add(time.Duration(float64(i) / *rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		calls.Add(1)
		go func(client *grpc.ClientConn) {
			defer calls.Done()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			var answer []byte
			err := client.Invoke(ctx, *method, &body, &answer)
			ms := float64(time.Since(due).Microseconds()) / 1000
			lock.Lock()
			defer lock.Unlock()
			took = append(took, ms)
			if err != nil {
				failed[err.Error()]++
			}
		}(clients[i%len(clients)])
	}
	calls.Wait()
	sort.Float64s(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))] }
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"seconds": time.Since(began).Seconds(), "calls": total, "failed": failed,
		"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1),
	})
}
