CREATE TABLE ref_export (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  request TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  taken INTEGER NOT NULL,
  units_done INTEGER NOT NULL,
  units_total INTEGER NOT NULL,
  resources INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  error TEXT NOT NULL
);
CREATE INDEX ref_export_state ON ref_export (state, created);
CREATE TABLE ref_export_file (
  job TEXT NOT NULL,
  unit INTEGER NOT NULL,
  name TEXT NOT NULL,
  list TEXT NOT NULL,
  type TEXT NOT NULL,
  lines INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (job, name)
);
