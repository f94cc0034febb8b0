"""From the case document to bytes: one module per format, each a pure function, listed here."""

from brokenseal.reports import csv_tables, docx, html, json_document, markdown, pdf, xlsx

REPORTERS = (
    html.REPORTER,
    pdf.REPORTER,
    docx.REPORTER,
    xlsx.REPORTER,
    json_document.REPORTER,
    markdown.REPORTER,
    csv_tables.REPORTER,
)
