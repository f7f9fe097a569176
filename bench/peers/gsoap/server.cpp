// gSOAP's own server of the echo: a thread for each connection, which stays open, as its manual has it.
//
//   server PORT
#include <csignal>
#include <cstdlib>
#include <thread>

#include "echo.nsmap"
#include "soapH.h"

int bench__echo(struct soap*, std::string text, bench__echoResponse& response) {
  response.text = std::move(text);
  return SOAP_OK;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  struct soap* listener = soap_new2(SOAP_IO_KEEPALIVE | SOAP_IO_BUFFER, SOAP_IO_KEEPALIVE | SOAP_IO_BUFFER);
  listener->bind_flags = SO_REUSEADDR;
  listener->max_keep_alive = 0;  // no limit
  listener->accept_flags = 0;
  listener->send_timeout = listener->recv_timeout = 30;
  if (!soap_valid_socket(soap_bind(listener, "127.0.0.1", std::atoi(argv[1]), 128))) {
    soap_print_fault(listener, stderr);
    return 1;
  }
  while (soap_valid_socket(soap_accept(listener))) {
    struct soap* connection = soap_copy(listener);
    std::thread([connection] {
      soap_serve(connection);
      soap_destroy(connection);
      soap_end(connection);
      soap_free(connection);
    }).detach();
  }
  soap_print_fault(listener, stderr);
  return 1;
}
