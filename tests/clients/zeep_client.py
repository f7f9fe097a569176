#!/usr/bin/python3
"""python3-zeep as flow.py asks for it: everything that it knows of Nuraghe is in the WSDL files."""
import logging
import sys
import warnings
from pathlib import Path

import requests
import zeep
from lxml import etree
from zeep.plugins import HistoryPlugin
from zeep.transports import Transport

CONTRACTS, ADDRESS, TOKEN, BLUEPRINT, CONSUMER = sys.argv[1:6]
FULL = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full"


class Failed(logging.Handler):
    def emit(self, record):
        raise AssertionError(f"zeep warns: {record.getMessage()}")


def load(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return zeep.Client(str(Path(CONTRACTS) / name), transport=Transport(session=session), plugins=[history])


def service(client, port, path):
    binding = next(name for name in client.wsdl.bindings if name.endswith("}" + port))
    return client.create_service(binding, ADDRESS + path)


logging.getLogger("zeep").addHandler(Failed(logging.WARNING))
session = requests.Session()
session.headers["Authorization"] = "Bearer " + TOKEN
session.trust_env = False
history = HistoryPlugin()

for wsdl in sorted(Path(CONTRACTS).glob("*.wsdl")):
    load(wsdl.name)
vcm = load("vcm.wsdl")
wsn = load("wsn.wsdl")
resource = load("vcf-cluster.wsdl")
manager = service(vcm, "VCMSoap", "/services/vcm")

answer = manager.create_vc(request={"blueprint": {"_value_1": etree.parse(BLUEPRINT).getroot()}})
key = answer.cluster
path = "/services/vcf/clusters/" + key
print("created")

cluster = service(resource, "ClusterSoap", path)


def state():
    name = etree.QName("urn:nuraghe:vcf:1", "State")
    return cluster.GetResourceProperty(name)[0]


print("state", state())

producer = service(wsn, "NotificationProducer", path)
# zeep has no values for types of mixed content: the element is made by hand.
events = etree.Element("{http://docs.oasis-open.org/wsn/b-2}TopicExpression", Dialect=FULL)
events.text = "cluster.frozen|cluster.running|cluster.destroyed"
subscribed = producer.Subscribe(ConsumerReference={"Address": CONSUMER}, Filter={"_value_1": [events]},
                                InitialTerminationTime="PT1H")
assert subscribed.SubscriptionReference.Address._value_1.startswith(ADDRESS), subscribed
print("subscribed")

cluster.freeze_vc(cluster=key)
print("frozen")
print("state", state())
cluster.thaw_vc(cluster=key)
print("thawed")
cluster.Destroy()
print("destroyed")

try:
    manager.freeze_vc(cluster="nobody")
    raise AssertionError("a cluster that is not there was frozen")
except zeep.exceptions.Fault as fault:
    detail = vcm.get_element("{urn:nuraghe:fault:1}fault").parse(fault.detail[0], vcm.wsdl.types)
    # zeep takes the leading xsd:any of the OASIS base fault for all that it holds.
    content = {etree.QName(element).localname: element for element in detail._value_1}
    assert list(content) == ["Timestamp", "Originator", "ErrorCode", "Description"] and content["Description"].text, detail
    print("fault", content["ErrorCode"].text)

# A machine is a resource like the others.
machines = service(load("hades.wsdl"), "HADESSoap", "/services/hades")
assert machines.enrol_machine(name="bare", driver="sim", mac=["52:54:00:12:34:56"]).state == "enrolled"
machine = service(load("hades-machine.wsdl"), "MachineSoap", "/services/hades/machines/bare")
assert machine.inspect_machine(name="bare").state == "available"
assert machine.GetResourceProperty(etree.QName("urn:nuraghe:hades:1", "State"))[0] == "available"
machine.Destroy()
print("# machine")
