// The NoCloud seed: a disk labelled cidata with meta-data, vendor-data, user-data and network-config, all four JSON (which
// is YAML). What all hosts share may stand in vendor-data: it is user-data's first half.
#pragma once

struct json;

struct seed {
    struct json *meta, *user, *network; // null: absent, or not understood (which is said); user: vendor-data below user-data
    int first;                          // this instance-id is seen for the first time: apply what is done once
};

// Reads the seed's disk and keeps a copy, or reads the copy of an earlier boot when there is no such disk.
struct seed seed_read(void);

// The same from the copy alone.
struct seed seed_kept(void);

// The host's name: user-data's hostname, else meta-data's local-hostname, else the first part of fqdn, else "mini".
const char *seed_hostname(const struct seed *seed);

// user-data's parts. Everything that cannot be done is said; nothing stops the boot.
void seed_complain(const struct seed *seed); // names what this image does not honour
void seed_random(const struct seed *seed);   // random_seed, credited: without it the ssh server waits for randomness
void seed_keys(const struct seed *seed);     // ssh_authorized_keys, ssh_keys
void seed_files(const struct seed *seed);    // write_files
void seed_mounts(const struct seed *seed);   // mounts, into /etc/fstab
void seed_commands(const struct seed *seed, const char *key); // bootcmd, runcmd

// Records that the instance's once-only parts are done.
void seed_finish(const struct seed *seed);
