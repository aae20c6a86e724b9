// One decision by OPA, in process: the same world as bench/policy-world.ts, as data that rego looks up by key.
// Reads {"grants": {on: {subject: {act: true}}}, "groups": {user: [group, …]}, "asked": [[user, table], …]} from the file
// named as first argument; prints {"us": median of rounds, "allowed": n}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

const policy = `package writ

subjects contains input.user
subjects contains g if some g in data.groups[input.user]

granted(on, act) if {
	some s in subjects
	data.grants[on][s][act]
}

default allow := false

allow if {
	granted(input.catalog, "USE CATALOG")
	use_schema
	read
}

use_schema if granted(input.schema, "USE SCHEMA")
use_schema if granted(input.catalog, "USE SCHEMA")

read if granted(input.table, "SELECT")
read if granted(input.schema, "SELECT")
read if granted(input.catalog, "SELECT")
`


func main() {
	text, err := os.ReadFile(os.Args[1])
	check(err)
	var world struct {
		Grants map[string]any `json:"grants"`
		Groups map[string]any `json:"groups"`
		Asked  [][4]string    `json:"asked"`
	}
	check(json.Unmarshal(text, &world))
	ctx := context.Background()
	store := inmem.NewFromObject(map[string]any{"grants": world.Grants, "groups": world.Groups})
	query, err := rego.New(
		rego.Query("data.writ.allow"),
		rego.Module("writ.rego", policy),
		rego.Store(store),
	).PrepareForEval(ctx)
	check(err)
	rounds := []float64{}
	allowed := 0
	for round := 0; round < 15; round++ {
		allowed = 0
		start := time.Now()
		for _, asked := range world.Asked {
			input := map[string]any{"user": asked[0], "catalog": asked[1], "schema": asked[2], "table": asked[3]}
			result, err := query.Eval(ctx, rego.EvalInput(input))
			check(err)
			if result.Allowed() {
				allowed++
			}
		}
		rounds = append(rounds, float64(time.Since(start).Nanoseconds())/1000/float64(len(world.Asked)))
	}
	sort.Float64s(rounds)
	fmt.Printf("{\"us\": %f, \"allowed\": %d}\n", rounds[len(rounds)/2], allowed)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
