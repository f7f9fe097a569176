// The program nuraghe-switch.
//
//   nuraghe-switch run FOLDER [LISTEN]   starts the switch of the folder as a daemon and returns when it serves: exit
//   0.
//                                        Exit 1 and one sentence on standard error when it cannot.
//   nuraghe-switch show FOLDER           prints ports, segments, peers and counters of the running one as JSON
//
// FOLDER: absolute, of this user, mode 0700. LISTEN: as SwitchOptions::listen. Started by the fabric.
#pragma once

namespace nuraghe::network {
int switch_main(int argc, char** argv);
}  // namespace nuraghe::network
