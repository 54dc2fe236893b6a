"""One authority for a cluster, and what it signs: who each part is, and where it is reached."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.engine.packages import empty
from scripts.engine.problems import SetupError

from .layout import NODE_REGISTRY, Cluster

_DAYS = "3650"
# Signs the tokens of service accounts, and is no certificate.
SERVICE_ACCOUNTS = "service-accounts"


@dataclass(frozen=True)
class Identity:
    """One certificate: what its holder may say it is, and the names it answers to."""

    name: str
    user: str
    group: str = ""
    # As openssl writes them: `IP:10.1.0.1`, `DNS:registry.test`. Without any it is a client's.
    names: tuple[str, ...] = ()
    has_kubeconfig: bool = False

    @property
    def subject(self) -> str:
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


def plan_identities(cluster: Cluster) -> tuple[Identity, ...]:
    """Everybody who has a certificate."""
    host, loopback = f"IP:{cluster.addresses.host}", "IP:127.0.0.1"
    registry = f"DNS:{NODE_REGISTRY.partition(':')[0]}"
    service = f"IP:{cluster.addresses.services[1]}"
    inside = ("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc")
    nodes = []
    for node in cluster.nodes:
        user, address = f"system:node:{node.name}", f"IP:{cluster.addresses.node(node.number)}"
        nodes += [
            Identity(node.name, user, "system:nodes", has_kubeconfig=True),
            Identity(f"{node.name}-serving", user, "system:nodes", (address,)),
        ]
    return (
        Identity("admin", "admin", "system:masters", has_kubeconfig=True),
        Identity("apiserver", "kube-apiserver", names=(host, loopback, service, *inside)),
        Identity("apiserver-kubelet", "kube-apiserver-kubelet-client"),
        Identity("etcd", "etcd", names=(host,)),
        Identity("etcd-client", "etcd-client"),
        Identity("registry", "registry", names=(host, loopback, registry)),
        *(
            Identity(name, f"system:kube-{name}", names=(host,), has_kubeconfig=True)
            for name in ("controller-manager", "scheduler")
        ),
        Identity("kube-router", "kube-router", has_kubeconfig=True),
        *nodes,
    )


def make_all(cluster: Cluster, environ: Mapping[str, str]) -> None:
    """Make the authority, all certificates and kubeconfigs anew; only their owner reads keys.

    Raises:
        SetupError: openssl fails.
    """
    folder = empty(cluster.layout.certificates)
    folder.chmod(0o700)
    # Of its own, so that what the machine's says changes nothing.
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = name\nstring_mask = utf8only\n[name]\n")
    authority = (
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,cRLSign",
        "subjectKeyIdentifier=hash",
    )
    _certify(folder, "ca", f"/CN={cluster.layout.ident}", authority, environ)
    for identity in plan_identities(cluster):
        _certify(folder, identity.name, identity.subject, _extensions(identity), environ, "ca")
        if identity.has_kubeconfig:
            _write_private(
                cluster.layout.kubeconfig_of(identity.name), kubeconfig(cluster, identity.name)
            )
    key = folder / f"{SERVICE_ACCOUNTS}.key"
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    _openssl(("genpkey", *curve, "-out", str(key)), environ)
    key.chmod(0o600)
    public = key.with_suffix(".pub")
    _openssl(("pkey", "-in", str(key), "-pubout", "-out", str(public)), environ)
    _write_private(cluster.layout.kubeconfig, kubeconfig(cluster, "admin"))


def _extensions(identity: Identity) -> tuple[str, ...]:
    # What serves is a client as well: etcd asks itself, by its own certificate.
    purposes = "serverAuth,clientAuth" if identity.names else "clientAuth"
    return (
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={purposes}",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
        *([f"subjectAltName={','.join(identity.names)}"] if identity.names else ()),
    )


def _certify(
    folder: Path,
    name: str,
    subject: str,
    extensions: tuple[str, ...],
    environ: Mapping[str, str],
    issuer: str = "",
) -> None:
    """Make a key and its certificate, signed by `issuer` or by itself."""
    key = folder / f"{name}.key"
    signed = ("-CA", str(folder / f"{issuer}.crt"), "-CAkey", str(folder / f"{issuer}.key"))
    _openssl(
        (
            *("req", "-x509", "-new", "-nodes", "-config", str(folder / "openssl.cnf")),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256"),
            *("-keyout", str(key), "-out", str(folder / f"{name}.crt"), "-days", _DAYS),
            *("-subj", subject, *(part for each in extensions for part in ("-addext", each))),
            *(signed if issuer else ()),
        ),
        environ,
    )
    key.chmod(0o600)


def _openssl(arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        ("openssl", *arguments), env=dict(environ), capture_output=True, text=True, umask=0o077
    )
    if done.returncode:
        raise SetupError(
            f"`openssl {arguments[0]}` failed",
            done.stderr.strip()[-800:],
            "OpenSSL 3 is needed (`openssl version`), and room on the disk.",
        )


def kubeconfig(cluster: Cluster, name: str) -> str:
    """A kubeconfig with all in it, so that it can be moved; JSON, which is YAML as well."""
    folder = cluster.layout.certificates

    def encoded(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    authority = {"certificate-authority-data": encoded("ca.crt")}
    user = {
        "client-certificate-data": encoded(f"{name}.crt"),
        "client-key-data": encoded(f"{name}.key"),
    }
    ident = cluster.layout.ident
    server = {"server": cluster.url("apiserver"), **authority}
    value: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": ident, "cluster": server}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": ident, "context": {"cluster": ident, "user": name}}],
        "current-context": ident,
    }
    return json.dumps(value, indent=1) + "\n"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
