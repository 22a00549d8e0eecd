// Package interop runs hacluster beside real keepalived: as its BACKUP, as a foreign MASTER, before and after a migration.
// Its tests write docs/INTEROP.md and follow docs/MIGRATION.md command by command.
package interop
