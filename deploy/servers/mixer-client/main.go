// Command mixer-client calls Mixer as any service does that holds to the public istio.io/api protos, version 1.4.
//
// It reads one JSON request a line and writes one JSON answer a line:
//
//	{"check": {"strings": {...}, "maps": {...}, "quotas": {"NAME": AMOUNT}, "dedup": "ID", "words": N}}
//	{"report": [{"strings": {...}, "ints": {...}}, ...]}
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	mixer "istio.io/api/mixer/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

type bag struct {
	Strings map[string]string            `json:"strings"`
	Ints    map[string]int64             `json:"ints"`
	Maps    map[string]map[string]string `json:"maps"`
}

type check struct {
	bag
	Quotas map[string]int64 `json:"quotas"`
	Dedup  string           `json:"dedup"`
	Words  uint32           `json:"words"`
}

type request struct {
	Check  *check `json:"check"`
	Report []bag  `json:"report"`
}

// words gives the words of one message their indexes; the first is -1.
type words struct {
	list  []string
	index map[string]int32
}

func (w *words) of(word string) int32 {
	if found, ok := w.index[word]; ok {
		return found
	}
	w.list = append(w.list, word)
	found := int32(-len(w.list))
	w.index[word] = found
	return found
}

func compressed(b bag, w *words) mixer.CompressedAttributes {
	out := mixer.CompressedAttributes{
		Strings:    map[int32]int32{},
		Int64S:     map[int32]int64{},
		StringMaps: map[int32]mixer.StringMap{},
	}
	for name, value := range b.Strings {
		out.Strings[w.of(name)] = w.of(value)
	}
	for name, value := range b.Ints {
		out.Int64S[w.of(name)] = value
	}
	for name, entries := range b.Maps {
		inner := map[int32]int32{}
		for key, value := range entries {
			inner[w.of(key)] = w.of(value)
		}
		out.StringMaps[w.of(name)] = mixer.StringMap{Entries: inner}
	}
	return out
}

func newWords() *words { return &words{index: map[string]int32{}} }

func answer(client mixer.MixerClient, asked request) map[string]interface{} {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if asked.Check != nil {
		w := newWords()
		attributes := compressed(asked.Check.bag, w)
		attributes.Words = w.list
		quotas := map[string]mixer.CheckRequest_QuotaParams{}
		for name, amount := range asked.Check.Quotas {
			quotas[name] = mixer.CheckRequest_QuotaParams{Amount: amount}
		}
		got, err := client.Check(ctx, &mixer.CheckRequest{
			Attributes:      attributes,
			GlobalWordCount: asked.Check.Words,
			DeduplicationId: asked.Check.Dedup,
			Quotas:          quotas,
		})
		return told(got, err)
	}
	w := newWords()
	batch := mixer.ReportRequest{RepeatedAttributesSemantics: mixer.INDEPENDENT_ENCODING}
	for _, each := range asked.Report {
		batch.Attributes = append(batch.Attributes, compressed(each, w))
	}
	batch.DefaultWords = w.list
	got, err := client.Report(ctx, &batch)
	return told(got, err)
}

func told(got interface{}, err error) map[string]interface{} {
	if err != nil {
		failed, _ := status.FromError(err)
		return map[string]interface{}{"error": failed.Code().String(), "message": failed.Message()}
	}
	return map[string]interface{}{"answer": got}
}

func main() {
	connection, err := grpc.Dial(os.Args[1], grpc.WithInsecure())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := mixer.NewMixerClient(connection)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := out.Encode(answer(client, asked)); err != nil {
			os.Exit(1)
		}
	}
}
