FROM driftbench/science:1
RUN pip install --no-cache-dir --root-user-action=ignore scikit-learn==1.5.2 joblib==1.4.2
WORKDIR /app
COPY *.py ./
