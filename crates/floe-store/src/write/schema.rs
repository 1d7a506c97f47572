//! The tables of Nix's database, schema 10 (Nix `schema.sql`), with the table that newer releases look for.

/// What the file `schema` beside the database holds: the number, without a newline.
pub(super) const VERSION: &str = "10";

/// Makes what is not there. Nix runs the same statements at each start, so a database that lost half of them to a
/// crash is whole again afterwards.
///
/// The trigger removes a path's reference to itself, which `on delete restrict` would otherwise hold against the
/// path's own deletion.
///
/// `SchemaMigrations` came with content-addressed derivations. A Nix that finds it missing makes it, and cannot
/// where the database is read-only: then it does not start.
pub(super) const TABLES: &str = "
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
create table if not exists SchemaMigrations (
    migration text primary key not null
);
";

/// Registers a path, or corrects what is registered about it; never deletes a row, since others refer to its `id`.
pub(super) const REGISTER_PATH: &str = "
insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ca) values (?, ?, ?, ?, ?, ?)
    on conflict (path) do update set
        hash = excluded.hash,
        narSize = excluded.narSize,
        deriver = coalesce(excluded.deriver, deriver),
        ca = coalesce(excluded.ca, ca)
";

/// Registers that the first path refers to the second.
pub(super) const REGISTER_REFERENCE: &str = "insert or ignore into Refs (referrer, reference) select a.id, b.id from ValidPaths a, ValidPaths b \
     where a.path = ? and b.path = ?";

/// Whether a path is registered.
pub(super) const IS_REGISTERED: &str = "select 1 from ValidPaths where path = ?";
