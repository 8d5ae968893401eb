"""Methods: encoders with their objectives and phases."""

from pyg_advinfonce.methods.autocf import build_autocf
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.methods.dcl import build_dcl
from pyg_advinfonce.methods.lightgcl import build_lightgcl
from pyg_advinfonce.methods.lightgcn import build_lightgcn, build_mf
from pyg_advinfonce.methods.ncl import build_ncl
from pyg_advinfonce.methods.sgl import build_sgl
from pyg_advinfonce.methods.simgcl import build_simgcl
from pyg_advinfonce.methods.ultragcn import build_ultragcn
from pyg_advinfonce.methods.vgae import build_vgae
from pyg_advinfonce.methods.xsimgcl import build_xsimgcl

__all__ = [
    "Method",
    "build_autocf",
    "build_dcl",
    "build_lightgcl",
    "build_lightgcn",
    "build_mf",
    "build_ncl",
    "build_sgl",
    "build_simgcl",
    "build_ultragcn",
    "build_vgae",
    "build_xsimgcl",
]
