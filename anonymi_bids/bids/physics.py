"""The allow-list of sidecar fields: physics only, each with its type and range.

Fields and units: BIDS specification 1.11, glossary of metadata
(https://bids-specification.readthedocs.io); fields of dcm2niix that are not in BIDS: its
``BIDS/README.md`` (https://github.com/rordenlab/dcm2niix). Ranges are wide for physics and narrow
for identifiers: eight-digit dates and record numbers do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from anonymi_bids.bids.rules import (
    DROP,
    Rule,
    constant,
    flag,
    joined,
    mapped,
    number,
    numbers,
    shaped,
    term,
)

_AXES = ("i", "i-", "j", "j-", "k", "k-")
_SECONDS = number(-1e4, 1e5)
_POSITIVE_S = number(0, 1e5)
_ANY_SECONDS = numbers(0, 1e5, single=True)
_RATE = numbers(-1e9, 1e12)
_ONE_UNIT = (
    r"(?:[pnuµμcmkMG]?(?:Bq|Ci|g|mol|s|Hz|T|L|l|m|V|Da|rad|Gy)|min|h|sec|cc|deg|cps|SUV|ppm|1)"
    r"(?:\^?-?[123])?"
)
_UNIT = shaped(
    rf"{_ONE_UNIT}(?:[/*·. ]{_ONE_UNIT}){{0,3}}|n/a|none|arbitrary|unitless|percent|%|degrees|"
    r"radians|seconds|counts"
)
_IMAGE_TYPES = (
    "ORIGINAL DERIVED PRIMARY SECONDARY M P R I M_FFE P_FFE R_FFE I_FFE M_SE M_IR FFE SE IR T1 T2 "
    "MAGNITUDE PHASE REAL IMAGINARY MIXED NONE OTHER ND NORM DIS2D DIS3D DIS3DF MOSAIC FM FMRI "
    "MFSPLIT DIFFUSION ADC FA TRACEW CALC_BVALUE PERFUSION ASL MPR MIP MIN PROJECTION AXIAL "
    "SAGITTAL CORONAL LOCALIZER CSA MOCO MEAN SUM UNI INV1 INV2 DEN MAP T1MAP T2MAP DYNAMIC "
    "VOLUME UNSPECIFIED RESAMPLED STATIC EMISSION TRANSMISSION RECON ATTENUATION AC NAC DENOISED "
    "FILTERED EPI TTEST"
).split()
_WORDS = joined(*_IMAGE_TYPES)

ALLOWED: Mapping[str, Rule] = MappingProxyType(
    {
        # hardware
        "Manufacturer": mapped(
            ("siemens", "Siemens"),
            ("philips", "Philips"),
            ("^ge$", "GE"),
            ("general electric", "GE"),
            ("ge medical", "GE"),
            ("ge healthcare", "GE"),
            ("canon", "Canon"),
            ("toshiba", "Toshiba"),
            ("united imaging", "UIH"),
            ("uih", "UIH"),
            ("hitachi", "Hitachi"),
            ("bruker", "Bruker"),
            ("hyperfine", "Hyperfine"),
            ("cti", "CTI"),
            ("mediso", "Mediso"),
        ),
        "ManufacturersModelName": shaped(
            r"(?i)(?!.*[0-9]{4})(?=.*[a-z]{2})(?:(?:siemens|philips|ge|signa|magnetom|discovery|optima|brivo|ingenia|achieva|"
            r"intera|gyroscan|panorama|vantage|titan|galan|orian|biograph|gemini|vereos|ingenuity|"
            r"advance|ecat|hrrt|exact|hr|umr|upmr|swoop|skyra|skyrafit|trio|triotim|trio_?tim|tim|"
            r"prisma|prisma_?fit|fit|verio|avanto|avantofit|aera|espree|essenza|symphony|"
            r"symphonytim|sonata|allegra|vida|lumina|sola|altea|terra|terra\.?x|cima\.?x|free\.?max|"
            r"free\.?star|connectom|investigational_device_7t|mmr|mct|vision|horizon|elition|"
            r"ambition|evolution|dstream|premier|architect|artist|voyager|pioneer|explorer|excite|"
            r"hdx?t?|hde|echospeed|genesis_signa|genesis|creator|elan|prodiva|multiva|omega|jupiter|"
            r"mr|pet|ct|pet/mr|pet/ct|mr750w?|mr360|mr355|mr450w?|mr430s|air|nx|cx|x|s|r|hp|xr|"
            r"true|point|duo|lso|[0-9.]{1,4}t?|[0-9]{3}w?|\+|/|_|-)[ _/-]?){1,6}"
        ),
        "MagneticFieldStrength": number(0.005, 25),
        "ImagingFrequency": number(0.1, 1100),
        "ImagedNucleus": term("1H", "31P", "23Na", "13C", "19F"),
        "Modality": term("MR", "CT", "PT"),
        "ReceiveCoilName": shaped(
            r"(?i)(?!.*[0-9]{3})(?=.*[a-z]{2})(?:(?:head|neck|body|spine|matrix|coil|multi|hea|hnp?|nv|sense|ds|q?brain|nova|"
            r"hr|array|birdcage|shim|aa|ant|post|[0-9]{1,2}(?:ch|hr|hrbrain|rx|tx)?|tcs|a|c)"
            r"[ _/:-]?){1,6}"
        ),
        "ReceiveCoilActiveElements": shaped(
            r"[A-Z]{1,4}[0-9P]{0,2}(?:[;,-][A-Z]{0,4}[0-9P]{0,2}){0,16}"
        ),
        "NumberReceiveCoilActiveElements": number(1, 256, whole=True),
        "NumberTransmitCoilActiveElements": number(1, 256, whole=True),
        "MatrixCoilMode": term("SENSE", "GRAPPA", "Adaptive Combine", "Sum of Squares", "Auto"),
        "CoilCombinationMethod": term("Adaptive Combine", "Sum of Squares", "rSOS", "SENSE"),
        "SoftwareVersions": shaped(
            r"(?i)(?:syngo[ _]?(?:mr)?[ _]?)?[A-Z]{1,2}[0-9]{1,2}[A-Z]?(?:-[A-Z0-9]{1,3})?"
            r"|syngo[ _]mr[ _][A-Z0-9]{2,6}|[0-9]{1,2}(?:\.[0-9]{1,3}){0,3}"
            r"(?:\\[0-9]{1,2}(?:\.[0-9]{1,3}){0,3}){0,3}"
        ),
        "ConversionSoftware": term("dcm2niix", "dcm2nii", "heudiconv", "bidscoin", "dcm2bids"),
        "ConversionSoftwareVersion": shaped(r"v?[0-9]{1,2}(?:\.[0-9]{1,2}){1,2}(?:\.20[0-9]{6})?"),
        # what this package itself says of a converted image
        "ConversionNote": shaped(
            r"[0-9]{1,3} missing slice\(s\) were filled from their neighbours\."
        ),
        # where and how the person lay (no size, no weight)
        "BodyPart": term("HEAD", "BRAIN", "NECK", "HEADNECK", "SKULL", "FACE", "WHOLEBODY"),
        "BodyPartExamined": term("HEAD", "BRAIN", "NECK", "HEADNECK", "SKULL", "WHOLEBODY"),
        "PatientPosition": term("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"),
        "TablePosition": numbers(-5000, 5000, most=3),
        "ImageOrientationPatientDICOM": numbers(-1.01, 1.01, most=6),
        "ImageType": _WORDS,
        "ImageTypeText": _WORDS,
        # sequence
        "PulseSequenceType": term(
            "Gradient Echo EPI",
            "Spin Echo EPI",
            "MPRAGE",
            "MP2RAGE",
            "FLASH",
            "SPGR",
            "TSE",
            "FSE",
            "SPACE",
            "bSSFP",
            "Spin Echo",
            "Gradient Echo",
        ),
        "ScanningSequence": joined("SE", "IR", "GR", "EP", "RM"),
        "SequenceVariant": joined("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE", "TOF"),
        "ScanOptions": joined(
            *"PER RG CG PPG FC PFF PFP SP FS CT WE IR SAT1 SAT2 SAT_1 DB CS".split(),
            *"PROP NONE OTHER".split(),
            extra=r"[A-Z0-9]{2,6}_GEMS",
        ),
        "SequenceName": shaped(
            r"\*?(?:tfl|tse|tir|spc|ep|epfid|fl|fm|re|se|swi|tfi|me|qfl|fi|de|h|gre|tof|pcasl|pasl|"
            r"mp2rage|mprage|asl)[a-z]{0,3}[0-9]?d?[0-9]{0,2}r?(?:_[a-z0-9]{1,6}){0,2}"
            r"(?:#[0-9]{1,3})?|r?[0-9]{1,2}d[0-9]{1,2}(?:_ns)?|(?:T[12])?(?:T?FFE|TFE|TSE|SE)(?:EPI|IR)?"
            r"|(?:fse|frfse|efgre3d|fgre|memp|epi2?|bravo|cube|ssfse|3dtof|propeller)(?:-?xl)?"
        ),
        "MRAcquisitionType": term("1D", "2D", "3D"),
        "NonlinearGradientCorrection": flag,
        "MTState": flag,
        "MTOffsetFrequency": number(-1e6, 1e6),
        "MTPulseBandwidth": number(0, 1e6),
        "MTNumberOfPulses": number(0, 1e4),
        "MTPulseShape": term(
            "HARD", "GAUSSIAN", "GAUSSHANN", "SINC", "SINCHANN", "SINCGAUSS", "FERMI"
        ),
        "MTPulseDuration": _POSITIVE_S,
        "SpoilingState": flag,
        "SpoilingType": term("RF", "GRADIENT", "COMBINED"),
        "SpoilingRFPhaseIncrement": number(-360, 360),
        "SpoilingGradientMoment": number(-1e6, 1e6),
        "SpoilingGradientDuration": _POSITIVE_S,
        "WaterSuppression": flag,
        "WaterExcitation": flag,
        "NegativeContrast": flag,
        # space
        "SliceThickness": number(0, 100),
        "SpacingBetweenSlices": number(-200, 200),
        "PhaseEncodingDirection": term(*_AXES),
        "SliceEncodingDirection": term(*_AXES),
        "PhaseEncodingAxis": term("i", "j", "k"),
        "InPlanePhaseEncodingDirectionDICOM": term("ROW", "COL"),
        "PhaseEncodingPolarityGE": term("Flipped", "Unflipped"),
        "PartialFourier": number(0, 1),
        "PartialFourierDirection": term("PHASE", "FREQUENCY", "SLICE_SELECT", "COMBINATION"),
        "PartialFourierEnabled": term("YES", "NO"),
        "ParallelReductionFactorInPlane": number(0.5, 64),
        "ParallelReductionFactorOutOfPlane": number(0.5, 64),
        "ParallelAcquisitionTechnique": term(
            "GRAPPA",
            "SENSE",
            "mSENSE",
            "ARC",
            "ASSET",
            "PILS",
            "CAIPIRINHA",
            "CS",
            "SMASH",
            "SPEEDER",
        ),
        "AccelFactPE": number(0.5, 64),
        "AccelFact3D": number(0.5, 64),
        "MultibandAccelerationFactor": number(1, 64),
        "AcquisitionMatrixPE": number(1, 4096),
        "ReconMatrixPE": number(1, 4096),
        "BaseResolution": number(1, 4096),
        "PhaseResolution": number(0, 10),
        "PercentPhaseFOV": number(0, 1000),
        "PercentSampling": number(0, 1000),
        "PhaseEncodingSteps": number(0, 1e4),
        "PhaseEncodingStepsNoPartialFourier": number(0, 1e4),
        "PhaseEncodingStepsOutOfPlane": number(0, 1e4),
        "FrequencyEncodingSteps": number(0, 1e4),
        "NumberOfAverages": number(0, 1e4),
        "NumberShots": numbers(0, 1e5, single=True),
        "PixelBandwidth": number(0, 1e5),
        "BandwidthPerPixelPhaseEncode": number(0, 1e5),
        "MatrixSize": numbers(1, 4096, most=4),
        "FieldOfView": numbers(0, 2000, most=3),
        "ReconstructionDiameter": number(0, 2000),
        "RawImage": flag,
        "Interpolation2D": number(0, 10),
        "Interpolation3D": number(0, 10),
        "RefLinesPE": number(0, 1e4),
        "NumberOfKSpaceTrajectories": number(0, 1e4),
        "WaterFatShift": number(0, 1000),
        "PhilipsRescaleSlope": number(-1e6, 1e6),
        "PhilipsRescaleIntercept": number(-1e6, 1e6),
        "PhilipsScaleSlope": number(-1e6, 1e6),
        "PhilipsRWVSlope": number(-1e6, 1e6),
        "PhilipsRWVIntercept": number(-1e6, 1e6),
        "UsePhilipsFloatNotDisplayScaling": number(0, 1),
        # time
        "EchoTime": numbers(0, 10, single=True),
        "EchoTime1": number(0, 10),
        "EchoTime2": number(0, 10),
        "EchoNumber": number(0, 1000),
        "EchoTrainLength": number(0, 1e4),
        "InversionTime": numbers(0, 100, single=True),
        "RepetitionTime": number(0, 1000),
        "RepetitionTimeExcitation": number(0, 1000),
        "RepetitionTimePreparation": numbers(0, 1000, single=True),
        "FlipAngle": numbers(0, 360, single=True),
        "DwellTime": number(0, 1),
        "EffectiveEchoSpacing": number(0, 1),
        "DerivedVendorReportedEchoSpacing": number(0, 1),
        "TotalReadoutTime": number(0, 10),
        "EstimatedEffectiveEchoSpacing": number(0, 1),
        "EstimatedTotalReadoutTime": number(0, 10),
        "MixingTime": number(0, 100),
        "AcquisitionDuration": _POSITIVE_S,
        "SliceTiming": numbers(0, 1000),
        "VolumeTiming": numbers(-1e4, 1e6),
        "FrameAcquisitionDuration": _POSITIVE_S,
        "DelayTime": _SECONDS,
        "DelayAfterTrigger": _SECONDS,
        "NumberOfVolumesDiscardedByScanner": number(0, 1e4, whole=True),
        "NumberOfVolumesDiscardedByUser": number(0, 1e4, whole=True),
        "ContrastBolusIngredient": term(
            "IODINE", "GADOLINIUM", "CARBON DIOXIDE", "BARIUM", "XENON", "UNKNOWN", "NONE"
        ),
        "Units": _UNIT,
        # diffusion
        "BigDelta": numbers(0, 10, single=True),
        "SmallDelta": numbers(0, 10, single=True),
        "DiffusionScheme": term("Bipolar", "Monopolar"),
        # arterial spin labelling
        "ArterialSpinLabelingType": term("CASL", "PCASL", "PASL"),
        "PostLabelingDelay": _ANY_SECONDS,
        "BackgroundSuppression": flag,
        "BackgroundSuppressionNumberPulses": number(0, 1000),
        "BackgroundSuppressionPulseTime": numbers(0, 1000),
        "M0Type": term("Separate", "Included", "Estimate", "Absent"),
        "M0Estimate": number(0, 1e9),
        "TotalAcquiredPairs": number(0, 1e5),
        "VascularCrushing": flag,
        "VascularCrushingVENC": numbers(-1e4, 1e4, single=True),
        "AcquisitionVoxelSize": numbers(0, 1000, most=3),
        "LabelingOrientation": numbers(-1e4, 1e4),
        "LabelingDistance": number(-1000, 1000),
        "LookLocker": flag,
        "LabelingEfficiency": number(0, 2),
        "LabelingDuration": _ANY_SECONDS,
        "LabelingPulseAverageGradient": number(0, 1e4),
        "LabelingPulseMaximumGradient": number(0, 1e4),
        "LabelingPulseAverageB1": number(0, 1e4),
        "LabelingPulseDuration": number(0, 1e5),
        "LabelingPulseFlipAngle": number(0, 360),
        "LabelingPulseInterval": number(0, 1e5),
        "PCASLType": term("balanced", "unbalanced"),
        "CASLType": term("single-coil", "double-coil"),
        "PASLType": term("FAIR", "EPISTAR", "PICORE", "STAR", "QUASAR", "Q2TIPS"),
        "LabelingSlabThickness": number(0, 1000),
        "BolusCutOffFlag": flag,
        "BolusDuration": number(0, 1000),
        "BolusCutOffDelayTime": _ANY_SECONDS,
        "BolusCutOffTechnique": term("QUIPSS", "QUIPSSII", "QUIPSS II", "Q2TIPS"),
        # positron emission tomography; times of day become 00:00:00, to which all others refer
        "TimeZero": constant("00:00:00"),
        "TracerName": shaped(
            r"(?i)\[?-?(?:1[158][CFO]|C-?11|F-?18|O-?15|68Ga|Ga-?68|64Cu|89Zr)?\]?[ -]?"
            r"(?:FDG|fluorodeoxyglucose|DASB|"
            r"PiB|florbetapir|florbetaben|flutemetamol|AV45|AV1451|flortaucipir|MK6240|raclopride|"
            r"SCH23390|WAY100635|CIMBI-?36|UCB-?J|PBR28|DPA714|PK11195|FDOPA|DOPA|FMZ|flumazenil|"
            r"H2O|water|altropane|PE2I|SB207145|AZ10419369|MDL100907|methionine|FET|FLT|DOTATOC|"
            r"DOTATATE|NAV4694|PI2620|GTP1|carfentanil|ABP688|FPEB|LY2795050|Ro15-4513)"
        ),
        "TracerRadionuclide": shaped(
            r"(?:C-?11|F-?18|O-?15|Ga-?68|Cu-?64|Zr-?89|N-?13|11C|18F|15O|68Ga)"
        ),
        "TracerMolecularWeight": number(0, 1e6),
        "TracerMolecularWeightUnits": _UNIT,
        "InjectedRadioactivity": number(0, 1e10),
        "InjectedRadioactivityUnits": _UNIT,
        "InjectedMass": lambda value: "n/a" if value == "n/a" else number(0, 1e6)(value),
        "InjectedMassUnits": _UNIT,
        "SpecificRadioactivity": lambda value: "n/a" if value == "n/a" else number(0, 1e12)(value),
        "SpecificRadioactivityUnits": _UNIT,
        "MolarActivity": number(0, 1e12),
        "MolarActivityUnits": _UNIT,
        "ModeOfAdministration": term("bolus", "infusion", "bolus-infusion"),
        "InfusionRadioactivity": number(0, 1e10),
        "InfusionStart": _SECONDS,
        "InfusionSpeed": number(0, 1e6),
        "InfusionSpeedUnits": _UNIT,
        "InjectedVolume": number(0, 1e4),
        "Purity": number(0, 100),
        "ScanStart": _SECONDS,
        "InjectionStart": _SECONDS,
        "InjectionEnd": _SECONDS,
        "FrameTimesStart": numbers(-1e5, 1e6),
        "FrameDuration": numbers(0, 1e6),
        "AcquisitionMode": term(
            "list mode", "list-mode", "dynamic", "static", "3D", "2D", "gated"
        ),
        "ImageDecayCorrected": flag,
        "ImageDecayCorrectionTime": _SECONDS,
        "ReconMethodName": mapped(
            ("osem", "OSEM"),
            ("ordered", "OSEM"),
            ("op-osem", "OP-OSEM"),
            ("filtered", "Filtered Back Projection"),
            ("fbp", "Filtered Back Projection"),
            ("ramla", "RAMLA"),
            ("mlem", "MLEM"),
            ("vpfx", "VPFX"),
        ),
        "ReconMethodParameterLabels": term(
            "subsets", "iterations", "zoom", "none", "lower_threshold"
        ),
        "ReconMethodParameterUnits": lambda value: (
            [_UNIT(v) for v in value]
            if isinstance(value, list) and all(_UNIT(v) is not DROP for v in value) and value
            else DROP
        ),
        "ReconMethodParameterValues": numbers(-1e6, 1e6),
        "ReconFilterType": term(
            "none", "Gaussian", "Hann", "Ramp", "Shepp-Logan", "Butterworth", "PSF"
        ),
        "ReconFilterSize": numbers(0, 100, single=True),
        "AttenuationCorrection": mapped(
            ("none", "none"),
            ("ct", "CT-based"),
            ("mr", "MR-based"),
            ("transmission", "transmission scan"),
            ("measured", "measured"),
            ("dixon", "MR-based"),
            ("ute", "MR-based"),
        ),
        "ScaleFactor": _RATE,
        "ScatterFraction": numbers(0, 100),
        "DecayCorrectionFactor": _RATE,
        "DoseCalibrationFactor": number(-1e12, 1e12),
        "PromptRate": _RATE,
        "SinglesRate": _RATE,
        "RandomRate": _RATE,
        "PharmaceuticalDoseAmount": numbers(0, 1e6, single=True),
        "PharmaceuticalDoseUnits": _UNIT,
        "PharmaceuticalDoseTime": numbers(-1e6, 1e6, single=True),
        # computed tomography
        "KVP": number(0, 1000),
        "XRayTubeCurrent": number(0, 5000),
        "XRayExposure": number(0, 1e5),
        "ExposureTime": number(0, 1e6),
        "GantryDetectorTilt": number(-90, 90),
        "CogAtlasID": shaped(
            r"(?:https?://www\.cognitiveatlas\.org/(?:task/id/)?)?(?:trm|tsk)_[0-9a-zA-Z]{10,16}/?"
        ),
        "CogPOID": shaped(r"(?:https?://www\.cogpo\.org/ontologies/)?CogPO[0-9_:#A-Za-z.]{1,24}"),
    }
)
"""Field → rule; a field that is not here does not enter the release."""
