"""From the case document to bytes: one module per format, each a pure function, listed here."""

from brokenseal.reports import csv_tables, html, json_document, markdown, xlsx

REPORTERS = (html.REPORTER, xlsx.REPORTER, json_document.REPORTER, markdown.REPORTER, csv_tables.REPORTER)
