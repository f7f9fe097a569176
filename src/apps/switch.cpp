// nuraghe-switch: the switch of one physical host. Started by the fabric (network/fabric.hpp); `show` is for people.
#include "network/switch_main.hpp"

int main(int argc, char** argv) { return nuraghe::network::switch_main(argc, argv); }
