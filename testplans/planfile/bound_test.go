package planfile_test

import (
	"fmt"
	"strings"
	"testing"

	"fhirwire/testplans/planfile"
)

func TestAliasesAreBounded(t *testing.T) {
	var many strings.Builder
	many.WriteString("plan: x\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&many, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9)+fmt.Sprintf("*a%d", i-1))
	}
	for _, tt := range []struct{ name, src, want string }{
		{"a few lines that stand for a billion values", many.String(), "p.yaml:7:9: aliases make more than 200000 values of this; expected them to be written out"},
		{"an alias of what is around it", "plan: &a\n  - *a\n", "p.yaml:2:5: *a stands for itself"},
		{"a merge of what is around it", "roles: &r\n  <<: *r\n", "p.yaml:2:7: *r stands for itself"},
	} {
		if _, err := planfile.Parse("p.yaml", []byte(tt.src), nil); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
