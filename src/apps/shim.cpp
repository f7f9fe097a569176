// nuraghe-shim: the parent of one QEMU. Started by the qemu driver, never by hand.
#include "hypervisor/qemu/shim.hpp"

int main(int argc, char** argv) { return nuraghe::hypervisor::qemu::shim_main(argc, argv); }
