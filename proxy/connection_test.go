package proxy

import (
	"strings"
	"testing"
)

func TestSystemOptionsSayWhatToType(t *testing.T) {
	t.Parallel()
	pin := strings.Repeat("ab", 32)
	good := SystemOptions{Auxiliary: []Auxiliary{{"auth", "https://auth.example/oauth2"}}, ClientPins: []string{pin}}
	if err := good.Validate(); err != nil {
		t.Errorf("good options: %v", err)
	}
	for want, bad := range map[string]SystemOptions{
		"auxiliary: name each":               {Auxiliary: []Auxiliary{{"Auth", "https://auth.example"}}},
		"auxiliary: name each ":              {Auxiliary: []Auxiliary{{"a", "https://a.example"}, {"a", "https://b.example"}}},
		"auxiliary: auth: start":             {Auxiliary: []Auxiliary{{"auth", "ftp://auth.example"}}},
		"ca: there is no PEM":                {CA: "hello"},
		"ca: the PEM text has a PRIVATE KEY": {CA: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		"ca: certificate 1 of":               {CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		"no SHA-256 fingerprint":             {ClientPins: []string{"AB:CD"}},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestDiscoveryModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []Discovery{"", DiscoveryRewrite, DiscoveryKeepToken, DiscoveryPass} {
		if err := (ChannelOptions{Discovery: mode}).Validate(); err != nil {
			t.Errorf("%q: %v", mode, err)
		}
	}
	if err := (ChannelOptions{Discovery: "all"}).Validate(); err == nil {
		t.Error("an unknown mode is accepted")
	}
}
