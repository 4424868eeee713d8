CREATE TABLE oauth_client (
  id TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  secret TEXT NOT NULL,
  certificate TEXT NOT NULL,
  entry TEXT NOT NULL,
  organization TEXT NOT NULL,
  anchor TEXT NOT NULL
);
CREATE UNIQUE INDEX oauth_client_anchor ON oauth_client (anchor) WHERE anchor <> '';
CREATE TABLE oauth_token (
  hash TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  scope TEXT NOT NULL,
  patient TEXT NOT NULL,
  certificate TEXT NOT NULL,
  audience TEXT NOT NULL,
  issued INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL
);
CREATE INDEX oauth_token_client ON oauth_token (client);
CREATE INDEX oauth_token_expires ON oauth_token (expires);
CREATE TABLE oauth_jti (
  client TEXT NOT NULL,
  hash TEXT NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (client, hash)
);
CREATE INDEX oauth_jti_expires ON oauth_jti (expires);
CREATE TABLE oauth_member (
  client TEXT NOT NULL,
  patient TEXT NOT NULL,
  identifier TEXT NOT NULL,
  matched INTEGER NOT NULL,
  starts INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  sensitive INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL,
  PRIMARY KEY (client, patient)
);
CREATE INDEX oauth_member_identifier ON oauth_member (client, identifier);
