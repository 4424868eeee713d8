package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"fhirwire/internal/sqldb"
	"fhirwire/internal/store/storetest"
)

// TestPostgres runs the contract against the database that FHIRWIRE_TEST_POSTGRES names, each test in a schema of its own.
func TestPostgres(t *testing.T) {
	dsn := os.Getenv("FHIRWIRE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("FHIRWIRE_TEST_POSTGRES names no database (postgres://…)")
	}
	admin, err := sqldb.Open(t.Context(), dsn, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Place {
		n++
		name := fmt.Sprintf("fhirwire_test_%d", n)
		for _, sql := range []string{"DROP SCHEMA IF EXISTS " + name + " CASCADE", "CREATE SCHEMA " + name} {
			if err := admin.Write.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		sep := "?"
		if strings.Contains(dsn, "?") {
			sep = "&"
		}
		return place(t, dsn+sep+"search_path="+name)
	})
}
