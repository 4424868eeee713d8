CREATE TABLE ref_group_owner (
  id TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE TABLE ref_group_term (
  id TEXT NOT NULL,
  patient TEXT NOT NULL,
  starts INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  sensitive INTEGER NOT NULL,
  PRIMARY KEY (id, patient)
);
