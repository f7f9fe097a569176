// The echo of bench/services/bench_echo.service.xml for gSOAP's soapcpp2.
//gsoap bench service name: echo
//gsoap bench service style: document
//gsoap bench service encoding: literal
//gsoap bench service namespace: urn:nuraghe:bench:echo:1
//gsoap bench schema namespace: urn:nuraghe:bench:echo:1
//gsoap bench schema elementForm: qualified
#import "stlvector.h"
int bench__echo(std::string text, struct bench__echoResponse { std::string text; } &response);
