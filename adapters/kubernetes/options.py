"""What an operator may say of a Kubernetes cluster. Read by `adapters.options`; see docs/reference/kubernetes.md."""

from __future__ import annotations

import attrs

from adapters.options import option
from adapters.platform import Platform


@attrs.frozen
class KubernetesOptions:
    """As the command line has them, `--kubeconfig` and `--kube-…`; the help texts are the meaning."""

    kubeconfig: str = option(
        "",
        flag="--kubeconfig",
        env="KUBECONFIG",
        help="File that leads to the API server. Default: the pod's service account, else ~/.kube/config.",
    )
    context: str = option("", flag="--kube-context", help="Context of the kubeconfig. Default: its current one.")
    namespaces: tuple[str, ...] = option(
        (), flag="--kube-namespace", help="Namespace to read; repeatable. Default: all."
    )
    domain: str = option("cluster.local", flag="--kube-domain", help="What the cluster's DNS ends names with.")
    empty_hold: float = option(
        300.0,
        flag="--kube-empty-hold",
        help="Seconds that objects are kept when a listing suddenly lacks most of them; 0 believes it at once.",
    )

    def platform(self, name: str) -> Platform:
        """The platform, not watching yet. ValueError for an option that can't be."""
        from adapters.kubernetes.watch import KubernetesPlatform

        return KubernetesPlatform(self, name)
