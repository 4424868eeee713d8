package reference

import (
	"context"
	"errors"
	"fmt"

	"fhirwire/reference/resources"
)

// formerCoverage was entered by mistake and taken back.
const formerCoverage = `{"resourceType": "Coverage", "id": "cov-former-%[1]s", "status": "entered-in-error",
 "identifier": [{"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]}, "system": "https://cedarmesa.example/member-id", "value": "former-%[1]s"}],
 "beneficiary": {"reference": "Patient/%[1]s"},
 "relationship": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"}]},
 "payor": [{"display": "Cedar Mesa Mutual"}]}`

// SeedDeleted stores and deletes a Coverage of a patient, so that an export of what changed has a deletion to tell of. Where that was
// done before, it changes nothing.
func (s *Server) SeedDeleted(ctx context.Context, patient string) error {
	id := "cov-former-" + patient
	if _, err := s.store.Get(ctx, "Coverage", id); errors.Is(err, resources.ErrDeleted) {
		return nil
	}
	if _, _, err := s.store.Put(ctx, "Coverage", id, fmt.Appendf(nil, formerCoverage, patient), resources.PutOptions{}); err != nil {
		return fmt.Errorf("deleted Coverage: %w", err)
	}
	if _, err := s.store.Delete(ctx, "Coverage", id); err != nil {
		return fmt.Errorf("deleted Coverage: %w", err)
	}
	return nil
}
