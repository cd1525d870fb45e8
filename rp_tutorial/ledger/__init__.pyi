from .claim import Claim as Claim
from .claim import Measurement as Measurement
from .claim import verdict as verdict
from .own_claims import own_table as own_table
from .paper_claims import FIGURE3 as FIGURE3
from .paper_claims import TABLE1 as TABLE1
from .verdicts import render as render
from .verdicts import table as table
