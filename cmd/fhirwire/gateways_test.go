package main

import (
	"fmt"
	"testing"
)

func TestGateways(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "[]",
		"10.0.0.5, ::ffff:10.0.0.6": "[10.0.0.5/32 10.0.0.6/32]",
		"192.0.2.77/24,2001:db8::1": "[192.0.2.0/24 2001:db8::1/128]",
	} {
		got, err := (&config{Gateways: in}).gateways()
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"gateway.example", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.5:443"} {
		if got, err := (&config{Gateways: in}).gateways(); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}
