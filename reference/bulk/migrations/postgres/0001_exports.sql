CREATE TABLE ref_export (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  created BIGINT NOT NULL,
  request TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  taken BIGINT NOT NULL,
  units_done BIGINT NOT NULL,
  units_total BIGINT NOT NULL,
  resources BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  error TEXT NOT NULL
);
CREATE INDEX ref_export_state ON ref_export (state, created);
CREATE TABLE ref_export_file (
  job TEXT NOT NULL,
  unit BIGINT NOT NULL,
  name TEXT NOT NULL,
  list TEXT NOT NULL,
  type TEXT NOT NULL,
  lines BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (job, name)
);
