// Network configuration, cloud-init's version 2 (https://cloudinit.readthedocs.io, "Networking config Version 2").
#pragma once

struct json;

// Brings up the loopback and every Ethernet that `config` (the document, its outer "network" optional) names; with a null
// config, every link gets its address by DHCP. `host` is the name to give to DHCP servers. What cannot be done is said.
void net_apply(const struct json *config, const char *host);
