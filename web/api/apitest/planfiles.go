package apitest

import (
	"context"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// PlanFiles is an api.PlanFiles of what it is given.
type PlanFiles struct {
	Files testplans.PlanFiles
	// Texts are by plan, and by plan@digest.
	Texts map[string]string
	// Former are plans that are not in use any more, by id.
	Former map[string]testplans.Plan
	Err    error
}

// PlanFiles is part of api.PlanFiles.
func (p *PlanFiles) PlanFiles() testplans.PlanFiles { return p.Files }

// PlanText is part of api.PlanFiles.
func (p *PlanFiles) PlanText(plan, digest string) ([]byte, error) {
	if p.Err != nil {
		return nil, p.Err
	}
	key := plan
	if digest != "" {
		key += "@" + digest
	}
	text, ok := p.Texts[key]
	if !ok {
		return nil, proxy.ErrNotFound
	}
	return []byte(text), nil
}

// FormerPlan is part of api.PlanFiles.
func (p *PlanFiles) FormerPlan(_ context.Context, id string) (testplans.Plan, error) {
	if p.Err != nil {
		return testplans.Plan{}, p.Err
	}
	plan, ok := p.Former[id]
	if !ok {
		return testplans.Plan{}, proxy.ErrNotFound
	}
	return plan, nil
}
