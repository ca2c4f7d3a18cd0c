#!/usr/bin/env python3
"""What `retort terms export` writes against readers of others: ODRL's JSON-LD by rdflib, its words
by the vocabulary that rdflib carries, its shape by SHACL (pyshacl); aipref's field by Mark
Nottingham's parser of structured fields (RFC 9651); RSL by lxml and a RELAX NG schema. Of every
shipped reading, and what is said is compared with the file itself as Python's own TOML reader has
it. Each oracle is shown to refuse a spoilt copy first.

    terms_peers.py RETORT
"""

import datetime
import json
import pathlib
import subprocess
import sys
import tomllib
from collections import Counter

try:
    import http_sf
    import pyshacl
    from lxml import etree
    from rdflib import RDF, Graph, Namespace, URIRef
    from rdflib.namespace import ODRL2, XSD
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TERMS = pathlib.Path(__file__).resolve().parents[2] / "terms"
ODRL = Namespace("http://www.w3.org/ns/odrl/2/")
OURS = Namespace("https://retort.local/retort/ns/terms#")
REFUSED = 4  # the format has no words for these terms

# ODRL Information Model 2.2: the numbers of properties in sections 2.1 (Policy), 2.1.2 (Offer),
# 2.2.1 (target), 2.5 (Constraint), 2.6 (Rule), 2.6.6 (Duty).
SHAPES = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> .
@prefix : <urn:shapes:> .
:Policy sh:targetClass odrl:Offer ; sh:nodeKind sh:IRI ;
  sh:property [ sh:path odrl:assigner ; sh:minCount 1 ; sh:maxCount 1 ] ;
  sh:property [ sh:path odrl:profile ; sh:minCount 1 ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path odrl:conflict ; sh:maxCount 1 ;
                sh:in ( odrl:perm odrl:prohibit odrl:invalid ) ] ;
  sh:property [ sh:path [ sh:alternativePath ( odrl:permission odrl:prohibition ) ] ;
                sh:minCount 1 ; sh:node :Rule ] .
:Rule a sh:NodeShape ;
  sh:property [ sh:path odrl:action ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path odrl:target ; sh:minCount 1 ; sh:maxCount 1 ; sh:node :Collection ] ;
  sh:property [ sh:path odrl:constraint ; sh:node :Constraint ] ;
  sh:property [ sh:path odrl:duty ; sh:node :Duty ] .
:Collection a sh:NodeShape ; sh:class odrl:AssetCollection ;
  sh:property [ sh:path odrl:source ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path odrl:refinement ; sh:node :Constraint ] .
:Duty a sh:NodeShape ;
  sh:property [ sh:path odrl:action ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] .
:Constraint a sh:NodeShape ;
  sh:property [ sh:path odrl:leftOperand ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ;
  sh:property [ sh:path odrl:operator ; sh:minCount 1 ; sh:maxCount 1 ;
    sh:in ( odrl:eq odrl:gt odrl:gteq odrl:lt odrl:lteq odrl:neq odrl:isA odrl:hasPart
            odrl:isPartOf odrl:isAllOf odrl:isAnyOf odrl:isNoneOf ) ] ;
  sh:property [ sh:path odrl:rightOperand ; sh:minCount 1 ] .
"""

# RSL 1.0: the elements that a licence of content may have and the order-free content of each.
RSL = """
<grammar xmlns="http://relaxng.org/ns/structure/1.0" ns="https://rslstandard.org/rsl"
         datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">
 <define name="usage"><attribute name="type" ns=""><value>usage</value></attribute>
  <data type="token"><param name="pattern">USES(,USES)*</param></data></define>
 <start><element name="rsl"><oneOrMore><element name="content">
  <attribute name="url" ns=""><data type="anyURI">
   <param name="minLength">1</param></data></attribute>
  <interleave>
   <oneOrMore><element name="license"><interleave>
    <optional><element name="permits"><ref name="usage"/></element></optional>
    <optional><element name="prohibits"><ref name="usage"/></element></optional>
   </interleave></element></oneOrMore>
   <optional><element name="copyright"><attribute name="type" ns=""><choice>
     <value>person</value><value>organization</value></choice></attribute>
    <data type="string"><param name="minLength">1</param></data></element></optional>
   <optional><element name="terms"><data type="anyURI"/></element></optional>
  </interleave>
 </element></oneOrMore></element></start>
</grammar>
""".replace("USES", "(all|ai-all|ai-train|ai-input|ai-index|search)")


def check(what, holds):
    if not holds or check.loud:
        print(("ok   " if holds else "WRONG"), what)
    check.failed = check.failed or not holds


check.failed = False
check.loud = True


def export(program, path, form):
    """The text, or None where the format has no words for it."""
    done = subprocess.run([program, "terms", "export", str(path), "--format", form], text=True,
                          capture_output=True, check=False)
    if done.returncode == REFUSED:
        return None
    if done.returncode != 0:
        raise SystemExit(f"{path}: {done.stderr}")
    return done.stdout


def odrl_context():
    """ODRL's own JSON-LD context, as the vocabulary gives it: which words name properties whose
    values are words or addresses."""
    context = {"odrl": str(ODRL)}
    for term in map(str, dir(ODRL2)):
        name = term.removeprefix(str(ODRL))
        context[name] = {"@id": term}
    for name in ("action", "leftOperand", "operator", "conflict"):
        context[name]["@type"] = "@vocab"
    for name in ("permission", "prohibition", "duty", "constraint", "refinement", "target",
                 "assigner", "source", "profile"):
        context[name]["@type"] = "@id"
    context["uid"] = "@id"
    return context


def odrl_graph(text):
    document = json.loads(text)
    theirs, ours = document["@context"]
    assert theirs == "http://www.w3.org/ns/odrl.jsonld", theirs
    document["@context"] = [odrl_context(), ours]
    return Graph().parse(data=json.dumps(document), format="json-ld")


def odrl_conforms(graph):
    conforms, _, said = pyshacl.validate(graph, shacl_graph=Graph().parse(data=SHAPES),
                                         inference="none")
    if not conforms and check.loud is False:
        print(said[:600])
    return conforms


def odrl_words_are_known(graph):
    """Every word of ODRL's namespace is one of its vocabulary; every other is ours or a
    standard's."""
    known = set(map(str, dir(ODRL2)))
    for triple in graph:
        for node in triple:
            if isinstance(node, URIRef) and str(node).startswith(str(ODRL)) \
                    and str(node) not in known:
                print("      unknown", node)
                return False
    return True


def odrl_days_are_dates(graph):
    """A day of capture is compared as a date, not as a text."""
    days = [graph.value(constraint, ODRL.rightOperand)
            for constraint in graph.subjects(ODRL.leftOperand, OURS.captured)]
    return bool(days) and all(day.datatype == XSD.date and isinstance(day.value, datetime.date)
                              for day in days)


def odrl_says(graph):
    """(effect, action, object, clause) of each rule."""
    said = Counter()
    for policy in graph.subjects(RDF.type, ODRL.Offer):
        for effect, link in (("permit", ODRL.permission), ("prohibit", ODRL.prohibition)):
            for rule in graph.objects(policy, link):
                target = graph.value(rule, ODRL.target)
                clause = graph.value(rule, OURS.clause)
                said[(effect, str(graph.value(rule, ODRL.action)).removeprefix(str(OURS)),
                      str(graph.value(target, ODRL.source)).removeprefix(str(OURS)),
                      str(clause or ""))] += 1
    return said


def file_says(terms):
    return Counter((rule["effect"], rule["action"], rule.get("object", "any"),
                    rule.get("clause", "")) for rule in terms["rule"])


def uses_of(terms, action):
    """How the rules on a use of answers (or texts, where none is about answers) stand: the effects
    of those without a condition, and whether there are others."""
    objects = [rule.get("object", "any") for rule in terms["rule"]]
    content = "outputs" if {"outputs", "any"} & set(objects) else "texts"
    rules = [rule for rule in terms["rule"]
             if rule["action"] == action and rule.get("object", "any") in ("any", content)]
    plain = {rule["effect"] for rule in rules
             if rule.get("scope", "any") == "any" and not rule.get("unless")}
    conditional = any(rule.get("scope", "any") != "any" or rule.get("unless") for rule in rules)
    return plain, conditional


def may_say(terms, action, effect):
    """A yes needs a plain permission and no prohibition; a no a plain prohibition."""
    plain, conditional = uses_of(terms, action)
    if effect == "permit":
        return plain == {"permit"} and not conditional
    return "prohibit" in plain


def aipref_field(text):
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    name, _, value = lines[0].partition(":")
    if len(lines) != 1 or name != "Content-Usage":
        raise ValueError(text)
    return http_sf.parse(value.strip().encode(), tltype="dictionary")


def aipref_fits(text, terms):
    field = aipref_field(text)
    value, parameters = field["train-ai"]
    effect = {"y": "permit", "n": "prohibit"}[str(value)]
    return (list(field) == ["train-ai"] and isinstance(value, http_sf.Token) and not parameters
            and may_say(terms, "train.generative", effect))


def rsl_fits(text, terms, schema):
    document = etree.fromstring(text.encode())
    if not schema.validate(document):
        print("     ", schema.error_log.last_error)
        return False
    space = "{https://rslstandard.org/rsl}"
    urls = [content.get("url") for content in document.findall(space + "content")]
    if len(set(urls)) != len(urls) or not set(urls) <= set(terms["applies"]["endpoints"]):
        return False
    for element, effect in (("permits", "permit"), ("prohibits", "prohibit")):
        for found in document.iter(space + element):
            for word in found.text.split(","):
                action = {"ai-train": "train.generative", "ai-input": "judge"}[word]
                if not may_say(terms, action, effect):
                    return False
    return all(found.text == terms["assigner"] for found in document.iter(space + "copyright"))


def refuses(function, *arguments):
    try:
        return not function(*arguments)
    except (ValueError, KeyError, etree.XMLSyntaxError, http_sf.StructuredFieldError):
        return True


def show_that_oracles_refuse(program, schema):
    """A test of the test: a spoilt copy of a good export is not taken."""
    path = TERMS / "deepseek-api-2026-04-29.toml"
    terms = tomllib.loads(path.read_text())
    odrl, aipref, rsl = (export(program, path, form) for form in ("odrl", "aipref", "rsl"))
    check("all three are taken as they are", odrl_conforms(odrl_graph(odrl))
          and aipref_fits(aipref, terms) and rsl_fits(rsl, terms, schema))
    check("SHACL refuses a rule without an action",
          not odrl_conforms(odrl_graph(odrl.replace('"action"', '"acction"'))))
    check("and an operator that ODRL has not",
          not odrl_conforms(odrl_graph(odrl.replace('"gteq"', '"atLeast"'))))
    check("and an offer of nobody",
          not odrl_conforms(odrl_graph(odrl.replace('"assigner"', '"asigner"'))))
    check("the vocabulary refuses a word that it has not", not odrl_words_are_known(
        odrl_graph(odrl.replace('"AssetCollection"', '"odrl:AssetColection"'))))
    check("the structured field's parser refuses a broken field",
          refuses(aipref_fits, aipref.replace("train-ai=y", "train-ai=y;;"), terms))
    check("and the other answer is not taken",
          refuses(aipref_fits, aipref.replace("train-ai=y", "train-ai=n"), terms))
    check("the schema refuses a use that RSL has not",
          refuses(rsl_fits, rsl.replace("ai-train", "train-ai"), terms, schema))
    check("and a licence of no address",
          refuses(rsl_fits, rsl.replace(' url="', ' href="'), terms, schema))
    check("and a prohibition for a permission is not taken",
          refuses(rsl_fits, rsl.replace("permits", "prohibits"), terms, schema))


def main():
    program = sys.argv[1]
    schema = etree.RelaxNG(etree.fromstring(RSL))
    show_that_oracles_refuse(program, schema)
    check.loud = False
    counts = Counter()
    for path in sorted(TERMS.glob("*.toml")):
        terms = tomllib.loads(path.read_text())
        for form in ("odrl", "aipref", "rsl"):
            text = export(program, path, form)
            counts[form] += text is not None
            if text is None:
                check(f"{path.name}: {form} has words", form != "odrl")
            elif form == "odrl":
                graph = odrl_graph(text)
                check(f"{path.name}: ODRL's shape", odrl_conforms(graph))
                check(f"{path.name}: ODRL's words", odrl_words_are_known(graph))
                check(f"{path.name}: days are dates", odrl_days_are_dates(graph))
                check(f"{path.name}: each rule, once", odrl_says(graph) == file_says(terms))
            elif form == "aipref":
                check(f"{path.name}: aipref {text}", aipref_fits(text, terms))
            else:
                check(f"{path.name}: rsl {text}", rsl_fits(text, terms, schema))
    check.loud = True
    for form, least in (("odrl", 20), ("aipref", 5), ("rsl", 5)):
        check(f"{counts[form]} readings in {form}", counts[form] >= least)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
