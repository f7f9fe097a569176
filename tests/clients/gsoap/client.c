/* gSOAP's generated C code as flow.py asks for it: all types and calls are made by wsdl2h and soapcpp2 from the WSDL files.
   A failed call ends the program; its exit code is 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soapH.h"
#include "VCMSoap.nsmap"

static struct soap *soap;

static void need(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "%s: ", what);
  if (soap->error) soap_print_fault(soap, stderr);
  fprintf(stderr, "\n");
  exit(1);
}

static char *token;

/* gSOAP forgets the token after each call. */
static void call(const char *what, int error) { need(error == SOAP_OK, what); }
static void authorise(void) { soap->bearer = token; }

static char *text_of_file(const char *path) {
  FILE *file = fopen(path, "r");
  need(file != NULL, path);
  char *text = soap_malloc(soap, 65536);
  size_t size = fread(text, 1, 65535, file);
  fclose(file);
  text[size] = '\0';
  return text;
}

static void print_state(const char *address) {
  struct _rp__GetMultipleResourceProperties request;
  struct _rp__GetMultipleResourcePropertiesResponse response;
  char *name = "vcf:State";
  memset(&request, 0, sizeof request);
  request.__sizeResourceProperty = 1;
  request.ResourceProperty = &name;
  authorise();
  call("GetMultipleResourceProperties",
       soap_call___cluster__GetMultipleResourceProperties(soap, address, NULL, &request, &response));
  need(response.__size == 1, "one property");
  const char *value = strchr(response.__any[0], '>');
  need(value != NULL, "a property's value");
  printf("state %.*s\n", (int)strcspn(value + 1, "<"), value + 1);
}

static char *create(const char *address, const char *file) {
  struct _vcm__create_USCOREvc request;
  struct _vcm__create_USCOREvcResponse response;
  struct vcf__ClusterRequest cluster;
  soap_default_vcf__ClusterRequest(soap, &cluster);
  __typeof__(*cluster.blueprint) blueprint;
  memset(&blueprint, 0, sizeof blueprint);
  blueprint.__any = text_of_file(file);
  cluster.blueprint = &blueprint;
  request.request = &cluster;
  authorise();
  call("create_vc", soap_call___manager__create_USCOREvc(soap, address, NULL, &request, &response));
  printf("created\n");
  return response.cluster;
}

static void subscribe(const char *address, char *consumer) {
  struct _wsnt__Subscribe request;
  struct _wsnt__SubscribeResponse response;
  soap_default__wsnt__Subscribe(soap, &request);
  request.ConsumerReference.Address = consumer;
  request.InitialTerminationTime = "PT1H";
  authorise();
  /* This port is of SOAP 1.2. */
  soap_set_version(soap, 2);
  call("Subscribe", soap_call___producer__Subscribe(soap, address, NULL, &request, &response));
  soap_set_version(soap, 1);
  need(response.TerminationTime != NULL, "a termination time");
  printf("subscribed\n");
}

static void expect_fault(const char *address) {
  struct _vcm__freeze_USCOREvc request = {"nobody"};
  struct _vcm__freeze_USCOREvcResponse response;
  authorise();
  need(soap_call___manager__freeze_USCOREvc(soap, address, NULL, &request, &response) == SOAP_FAULT, "a fault");
  /* In SOAP 1.2 it has another name. */
  struct SOAP_ENV__Detail *detail = soap->fault->detail ? soap->fault->detail : soap->fault->SOAP_ENV__Detail;
  need(detail != NULL && detail->flt__fault != NULL, "its detail");
  struct flt__Fault *fault = detail->flt__fault;
  need(fault->bf__Timestamp != 0 && fault->__sizeDescription > 0 && fault->bf__ErrorCode != NULL, "its content");
  printf("fault %s\n", fault->bf__ErrorCode->__mixed);
}

int main(int argc, char **argv) {
  char manager[256], cluster[256];
  if (argc < 6) return 64;
  /* Namespaces in texts are kept as they stand there. */
  soap = soap_new1(SOAP_XML_TREE);
  soap_set_version(soap, 1);
  token = argv[3];
  snprintf(manager, sizeof manager, "%s/services/vcm", argv[2]);
  char *key = create(manager, argv[4]);
  snprintf(cluster, sizeof cluster, "%s/services/vcf/clusters/%s", argv[2], key);
  print_state(cluster);
  subscribe(cluster, argv[5]);
  struct _vcm__freeze_USCOREvc freeze = {key};
  struct _vcm__freeze_USCOREvcResponse frozen;
  authorise();
  call("freeze_vc", soap_call___cluster__freeze_USCOREvc(soap, cluster, NULL, &freeze, &frozen));
  printf("frozen\n");
  print_state(cluster);
  struct _vcm__thaw_USCOREvc thaw = {key};
  struct _vcm__thaw_USCOREvcResponse thawed;
  authorise();
  call("thaw_vc", soap_call___cluster__thaw_USCOREvc(soap, cluster, NULL, &thaw, &thawed));
  printf("thawed\n");
  struct _rl__Destroy destroy;
  struct _rl__DestroyResponse destroyed;
  memset(&destroy, 0, sizeof destroy);
  authorise();
  call("Destroy", soap_call___cluster__Destroy(soap, cluster, NULL, &destroy, &destroyed));
  printf("destroyed\n");
  expect_fault(manager);
  return 0;
}
